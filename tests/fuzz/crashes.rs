//! What fuzzing found, each with a name.
