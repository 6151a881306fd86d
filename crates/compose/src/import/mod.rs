//! A workload file out of a stack.
