//! The worst case in a ball (SAM, ASAM), and m-sharpness over batches of one example.

use smoothout_sharpness::{Ball, FnObjective, ParameterLayout, Scaling, SharpnessError, WorstCase};

fn main() -> Result<(), SharpnessError> {
    let example = |x: f64| {
        let value = move |w: &[f64]| 0.5 * ((w[0] * x).max(0.0) * w[1] - x).powi(2);
        FnObjective::new(2, value).with_gradient(move |w: &[f64], g: &mut [f64]| {
            let hidden = (w[0] * x).max(0.0);
            let off = hidden * w[1] - x;
            g[0] = if hidden > 0.0 { off * w[1] * x } else { 0.0 };
            g[1] = off * hidden;
            value(w)
        })
    };
    let (f, layout, w) = (example(1.0), ParameterLayout::flat(2), [1.1, 1.0]);
    for ball in [Ball::L2, Ball::LInfinity] {
        for scaling in [Scaling::Plain, Scaling::Elementwise] {
            let settings = WorstCase::new(ball, 0.05)?.scaling(scaling);
            println!("{}", settings.measure(&f, &layout, &w)?);
        }
    }
    let batches = [1.0, 2.0, 3.0].map(example);
    println!("{}", WorstCase::new(Ball::L2, 0.05)?.measure_batches(&batches, &layout, &w)?);
    Ok(())
}
