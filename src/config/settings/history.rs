//! Settings of what rooms keep.

use std::sync::Arc;

use crate::limits::{HISTORY_AGE_SECONDS_MAX, HISTORY_COUNT_MAX, HISTORY_RULES_MAX};
use crate::presence::{HistoryRule, Pattern};
use crate::time::TICK_MILLIS;

use super::Check;
use crate::config::units::Span;

impl Check<'_> {
    /// The rules, in the order in which they are looked at.
    pub(super) fn history(&self) -> Result<Arc<[HistoryRule]>, String> {
        let texts = self.layer.history.as_deref().unwrap_or_default();
        if texts.len() > HISTORY_RULES_MAX {
            return Err(self.at("history", &format!("more than {HISTORY_RULES_MAX} rules")));
        }
        texts.iter().map(|text| rule(text).map_err(|error| self.at("history", &error))).collect()
    }

    pub(super) fn history_bytes(&self) -> Result<usize, String> {
        self.size("history-bytes", self.layer.history_bytes, 1 << 20..=1 << 40)
    }
}

/// `PATTERN=COUNT` or `PATTERN=COUNT/AGE`: a name may have a `=` and a `/`, what is behind the last `=` has neither.
fn rule(text: &str) -> Result<HistoryRule, String> {
    let (pattern, kept) = text.rsplit_once('=').ok_or_else(|| {
        format!("`{text}` is no rule: say ROOM=COUNT, or ROOM=COUNT/AGE, like support.*=1000/24h")
    })?;
    let pattern = Pattern::new(pattern)
        .ok_or_else(|| format!("`{pattern}` is neither a room's name nor the beginning of one and a `*`"))?;
    let (count, age) = kept.split_once('/').map_or((kept, None), |(count, age)| (count, Some(age)));
    let count = count
        .parse()
        .ok()
        .filter(|count| (1..=HISTORY_COUNT_MAX).contains(count))
        .ok_or_else(|| format!("`{count}` is no number of messages from 1 to {HISTORY_COUNT_MAX}"))?;
    let millis = match age {
        None => u128::from(HISTORY_AGE_SECONDS_MAX) * 1_000,
        Some(age) => age.parse::<Span>()?.0.as_millis(),
    };
    if !(1_000..=u128::from(HISTORY_AGE_SECONDS_MAX) * 1_000).contains(&millis) {
        return Err(format!("an age is from 1s to {}h", HISTORY_AGE_SECONDS_MAX / 3_600));
    }
    let age = u32::try_from(millis / u128::from(TICK_MILLIS)).map_err(|_| "an age is too long".to_owned())?;
    Ok(HistoryRule { pattern, count, age })
}
