//! [`canon_async_fuzz::plan`] with libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| canon_async_fuzz::plan::run(data));
