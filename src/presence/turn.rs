//! The context of every step of a call: the time, the rules, and the output.

use crate::presence::outgoing::Outgoing;
use crate::presence::rules::Rules;
use crate::time::Now;

/// A call of a node, as its parts see it.
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    pub(crate) now: Now,
    pub(crate) rules: &'t Rules,
    pub(crate) out: &'t mut Outgoing,
}
