//! The expected loss in a box around the two minima of a double well, one sharp and one flat.

use smoothout_sharpness::{
    ExpectedLoss, FnObjective, Geometry, ParameterLayout, Perturbation, SharpnessError,
};

fn main() -> Result<(), SharpnessError> {
    let sharp_and_flat = FnObjective::new(10, |w: &[f64]| {
        let well = |centre: f64, width: f64| {
            let squares: f64 = w.iter().map(|w| (w - centre).powi(2)).sum();
            -(-squares / (2.0 * width * width)).exp()
        };
        well(0.0, 0.2) + well(3.0, 1.0)
    });
    let layout = ParameterLayout::flat(10);
    let (sharp, flat) = ([0.0; 10], [3.0; 10]);
    let measurement = ExpectedLoss::new(Perturbation::new(Geometry::Absolute, 0.3)?).until(1e-3)?;
    println!("sharp: {}", measurement.measure(&sharp_and_flat, &layout, &sharp)?);
    println!("flat:  {}", measurement.measure(&sharp_and_flat, &layout, &flat)?);
    println!("both:  {}", measurement.compare(&sharp_and_flat, &layout, &sharp, &flat)?);
    Ok(())
}
