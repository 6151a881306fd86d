//! The contract of the router, held by its twin.
