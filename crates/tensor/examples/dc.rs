#![allow(missing_docs)]
use smoothout_tensor::kernels::*;
fn main() {
    let a: Vec<usize> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let [b, side, ci, co, k, s, pass, reps] = a[..] else { panic!() };
    if std::env::var("FMA").is_ok() {
        InstructionSet::Avx512.select();
    }
    if std::env::var("WIN").is_ok() {
        KernelChoice::Winograd.select()
    } else {
        KernelChoice::Direct.select()
    }
    let shape = Conv2dShape {
        batch: b,
        image: [side; 2],
        in_channels: ci,
        out_channels: co,
        kernel: [k; 2],
        stride: [s; 2],
        padding: [k / 2; 2],
    };
    let mut x = vec![0.5f32; shape.input_len()];
    let mut w = vec![0.25f32; shape.weight_len()];
    let mut g = vec![0.5f32; shape.output_len()];
    let mut sc = Scratch::new();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let mut best = f64::MAX;
        for _ in 0..reps {
            let t = std::time::Instant::now();
            match pass {
                0 => f32::conv2d_forward(&shape, &x, &w, &mut g, &mut sc),
                1 => f32::conv2d_input_gradient(&shape, &w, &g, &mut x, &mut sc),
                _ => f32::conv2d_weight_gradient(&shape, &x, &g, &mut w, &mut sc),
            };
            best = best.min(t.elapsed().as_secs_f64());
        }
        println!("{:.1} GFLOP/s", 2.0 * shape.multiply_adds() as f64 / best / 1e9);
    });
}
