//! The project as it stands: its sources are held to the design, and its documents to the code.

mod cycles;
mod layering;
mod parts;
mod secrets;
mod sentences;
mod sources;
mod supply;
mod tidy;
