#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    smoothout_tests::hostile::image(bytes);
});
