//! What only Docker can show.
