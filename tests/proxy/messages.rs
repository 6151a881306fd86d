//! HTTP as raw bytes.
