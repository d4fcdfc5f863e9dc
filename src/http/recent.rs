//! A text of figures, made anew only where the last one is old: one who asks again and again is told the same, and costs a
//! copy of it. Time is an argument.

use crate::limits::FIGURES_TICKS;
use crate::time::Tick;

/// The last text, and when it was made.
#[derive(Debug, Default)]
pub(crate) struct Recent(Option<(Tick, String)>);

impl Recent {
    /// The text of the last [`FIGURES_TICKS`], or else what `make` makes now; `None` where it makes nothing.
    pub(crate) fn get(&mut self, now: Tick, make: impl FnOnce() -> Option<String>) -> Option<&str> {
        // As a number of ticks, not by order: the text may be older than the half of the clock that ticks are compared in.
        let is_old = |&(made, _): &(Tick, String)| now.0.wrapping_sub(made.0) >= FIGURES_TICKS;
        if self.0.as_ref().is_none_or(is_old) {
            self.0 = make().map(|text| (now, text));
        }
        self.0.as_ref().map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_once_in_its_time() {
        let mut recent = Recent::default();
        let mut made = 0;
        // Over the wrap of the clock, and by one question a tick.
        for tick in 0..3 * FIGURES_TICKS {
            let now = Tick(u32::MAX - 5).after(tick);
            let text = recent.get(now, || {
                made += 1;
                Some(made.to_string())
            });
            assert_eq!(text, Some((1 + tick / FIGURES_TICKS).to_string().as_str()));
        }
        assert_eq!(made, 3);
    }

    #[test]
    fn what_was_asked_for_long_ago_is_made_anew() {
        let mut recent = Recent::default();
        recent.get(Tick(0), || Some("old".to_owned()));
        assert_eq!(recent.get(Tick(u32::MAX - 1), || Some("new".to_owned())), Some("new"));
        assert_eq!(recent.get(Tick(100), || None), None);
        assert_eq!(recent.get(Tick(100), || Some("again".to_owned())), Some("again"), "nothing is not kept");
    }
}
