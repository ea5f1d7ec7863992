//! Tests that need an operating system.
