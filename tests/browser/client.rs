//! The logic of rollcall.js.
