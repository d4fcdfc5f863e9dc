//! Settings: what was said by flag, environment and file, checked and resolved. No other place decides a default.
//!
//! | file | subject |
//! |---|---|
//! | [`layer`] | the settings as written, in any of the three places |
//! | [`api_keys`] | the keys of the API, which are shown nowhere |
//! | [`units`], [`address`] | durations, sizes and addresses as people write them |
//! | [`origin`] | origins as browsers send them |
//! | [`sources`] | reading file and environment; which place wins; `config print` |
//! | [`tls`] | the files that TLS is made of |
//! | [`settings`] | the settings as the server takes them, and the relations that must hold between them |
//! | [`keys`] | the files with keys for tokens |
//! | [`exposed`] | files with secrets that others can read |
//! | [`programs`], [`words`] | the programs that commands name; a command as words |
//! | [`unwise`] | settings that are allowed and foolish |
//! | [`capacity`] | how many connections fit, and why |

pub(crate) mod address;
pub(crate) mod api_keys;
pub(crate) mod capacity;
pub(crate) mod exposed;
pub(crate) mod keys;
pub(crate) mod layer;
pub(crate) mod origin;
pub(crate) mod programs;
pub(crate) mod settings;
pub(crate) mod sources;
pub(crate) mod tls;
pub(crate) mod units;
pub(crate) mod unwise;
pub(crate) mod words;

pub(crate) use layer::Layer;
pub(crate) use settings::Settings;
pub(crate) use sources::Sources;
