#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| iogate_fuzz::template(bytes));
