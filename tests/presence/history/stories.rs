//! Single stories of what rooms keep.
