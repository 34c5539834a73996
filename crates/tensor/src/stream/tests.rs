use rand_xoshiro::Xoshiro128PlusPlus;
use rand_xoshiro::rand_core::RngCore;

use super::*;

const KEY: StreamKey =
    StreamKey { seed: 3, purpose: Purpose::Measurement, step: 4, copy: 5, block: 6 };

#[test]
fn each_lane_is_a_generator_of_rand_xoshiro() {
    let mut narrow = vec![0.0_f32; CHUNK + 999];
    fill_uniform(KEY, &mut narrow);
    let mut wide = vec![0.0_f64; CHUNK + 999];
    fill_uniform(KEY, &mut wide);
    for chunk in 0..2 {
        for lane in 0..LANES_32 {
            let mut generator =
                Xoshiro128PlusPlus::seed_from_u64(lane_seed(KEY.chunk_seed(chunk), lane));
            let stream = narrow.chunks(CHUNK).nth(chunk).unwrap();
            for value in stream.iter().skip(lane).step_by(LANES_32) {
                assert_eq!(*value, unit_f32(generator.next_u32()));
            }
        }
        for lane in 0..LANES_64 {
            let mut generator =
                Xoshiro256PlusPlus::seed_from_u64(lane_seed(KEY.chunk_seed(chunk), lane));
            let stream = wide.chunks(CHUNK).nth(chunk).unwrap();
            for value in stream.iter().skip(lane).step_by(LANES_64) {
                assert_eq!(*value, unit_f64(generator.next_u64()));
            }
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for gaussian in [false, true] {
        let fill = |set| {
            let (mut narrow, mut wide) = (vec![0.0_f32; CHUNK], vec![0.0_f64; CHUNK]);
            simd::run(set, Fill32 { chunk_seed: 5, gaussian, out: &mut narrow });
            simd::run(set, Fill64 { chunk_seed: 5, gaussian, out: &mut wide });
            (narrow, wide)
        };
        let expected = fill(InstructionSet::Baseline);
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            assert!(fill(set) == expected, "{set:?}");
        }
    }
}

#[test]
fn uniform_numbers_stay_inside_and_are_symmetric() {
    assert_eq!(unit_f32(0), -unit_f32(u32::MAX));
    assert_eq!(unit_f64(0), -unit_f64(u64::MAX));
    assert!(unit_f32(0) > -1.0 && unit_f64(0) > -1.0);
    assert_eq!(unit_f32(1 << 31), 1.0 / (1 << 24) as f32);
}

/// Each field of the key changes the stream.
#[test]
fn keys_name_unrelated_streams() {
    let keys = [
        KEY,
        StreamKey { seed: 4, ..KEY },
        StreamKey { purpose: Purpose::Shuffle, ..KEY },
        KEY.step(5),
        KEY.copy(6),
        KEY.block(7),
        KEY.step(5).copy(4),
    ];
    let streams = keys.map(|key| {
        let mut out = vec![0.0_f64; 20_000];
        fill_uniform(key, &mut out);
        out
    });
    for i in 0..keys.len() {
        for j in 0..i {
            let products = streams[i].iter().zip(&streams[j]).map(|(a, b)| a * b);
            let correlation = products.sum::<f64>() / 20_000.0 * 3.0;
            assert!(correlation.abs() < 5.0 / 20_000_f64.sqrt(), "{i} {j}: {correlation}");
        }
    }
}

fn moments<R: Real>(values: &[R]) -> [f64; 3] {
    let mean_of = |power: i32| {
        values.iter().map(|value| value.as_f64().powi(power)).sum::<f64>() / values.len() as f64
    };
    [mean_of(1), mean_of(2), mean_of(4)]
}

/// Mean, variance and fourth moment within five standard errors: 1/3 and 1/5 for the uniform
/// law, 1 and 3 for the normal one.
#[test]
fn moments_are_those_of_the_laws() {
    fn check<R: Real>() {
        let mut values = vec![R::zero(); 1_000_000];
        fill_uniform(KEY, &mut values);
        let [mean, second, fourth] = moments(&values);
        assert!(mean.abs() < 5.0 * 0.577e-3, "{mean}");
        assert!((second - 1.0 / 3.0).abs() < 5.0 * 0.298e-3, "{second}");
        assert!((fourth - 0.2).abs() < 5.0 * 0.267e-3, "{fourth}");
        fill_gaussian(KEY, &mut values);
        let [mean, second, fourth] = moments(&values);
        assert!(mean.abs() < 5.0e-3, "{mean}");
        assert!((second - 1.0).abs() < 5.0 * 1.414e-3, "{second}");
        assert!((fourth - 3.0).abs() < 5.0 * 9.8e-3, "{fourth}");
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn a_shorter_slice_gets_the_beginning_of_the_stream() {
    for len in [0, 1, 2, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1] {
        for fill in [fill_uniform::<f32>, fill_gaussian::<f32>] {
            let (mut short, mut long) = (vec![0.0; len], vec![0.0; 3 * CHUNK]);
            fill(KEY, &mut short);
            fill(KEY, &mut long);
            assert_eq!(short, long[..len]);
        }
    }
}
