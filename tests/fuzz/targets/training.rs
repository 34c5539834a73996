#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    smoothout_tests::hostile::training(bytes);
});
