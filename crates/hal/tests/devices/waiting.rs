//! Devices that wait: what they wait for, the tests bring about.
