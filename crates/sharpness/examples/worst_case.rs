//! The worst case in a ball (SAM, ASAM), m-sharpness, the noise tolerance, and the audit of a rescaled
//! network of two ReLU weights.

use smoothout_sharpness::{
    Audit, Ball, FnObjective, NoiseTolerance, Scaling, SharpnessError, WorstCase, rescale_blocks,
};
use smoothout_tensor::{BlockKind, Geometry, ParameterLayout, Perturbation};

fn main() -> Result<(), SharpnessError> {
    let mut layout = ParameterLayout::new();
    layout.push("fc1.weight", &[1, 1], BlockKind::Weight)?;
    layout.push("fc2.weight", &[1, 1], BlockKind::Weight)?;
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
    let (f, w) = (example(1.0), [1.1, 1.0]);
    let sam = WorstCase::new(Ball::L2, 0.05)?;
    println!("{}", sam.measure(&f, &layout, &w)?);
    println!("{}", sam.clone().scaling(Scaling::Elementwise).measure(&f, &layout, &w)?);
    let batches = sam.measure_batches([example(1.0), example(2.0), example(3.0)], &layout, &w)?;
    println!("m-sharpness {}", batches.rise);
    let tolerance = NoiseTolerance::new(Perturbation::new(Geometry::Filter, 0.1)?, 0.01)?;
    println!("{}", tolerance.measure(&f, &layout, &w)?);
    let rescaled = rescale_blocks(&layout, &w, &[("fc1.weight", 0.1), ("fc2.weight", 10.0)])?;
    println!("{}", Audit::new(0.05, 1e-3)?.measure(&f, &layout, &w, &rescaled)?);
    Ok(())
}
