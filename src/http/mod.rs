//! The same port's other face: which path is what, over HTTP and for an upgrade.
//!
//! | file | subject |
//! |---|---|
//! | [`router`] | paths to services and pages; who is let in |
//! | [`api`] | `/api/v1` |
//! | [`assets`] | the page at `/`, `/rollcall.js` |
//! | `docs` | the manual at `/docs` |
//! | [`health`] | `/healthz`, `/readyz` |
//! | [`metrics`], `gauges` | `/metrics`; where its own figures are counted |
//! | [`memory`] | what resident memory is for |
//! | `paths` | which path is which service or page, and what is switched off |
//! | `refused` | refusals that a page can see |
//! | `recent` | figures that are made at most ten times a second |

pub mod api;
pub mod assets;
mod docs;
mod gauges;
pub mod health;
pub mod memory;
pub mod metrics;
mod paths;
mod recent;
mod refused;
pub mod router;

pub use router::{Router, RouterSettings, SiteMail};
