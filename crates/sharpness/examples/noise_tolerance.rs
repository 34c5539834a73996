//! The radius at which the expected loss has risen by 0.01, around a sharp and around a flat minimum:
//! which a should one take?

use smoothout_sharpness::{
    FnObjective, Geometry, NoiseTolerance, ParameterLayout, Perturbation, SharpnessError,
};

fn main() -> Result<(), SharpnessError> {
    let layout = ParameterLayout::flat(20);
    let first_guess = Perturbation::new(Geometry::Absolute, 0.1)?;
    let tolerance = NoiseTolerance::new(first_guess, 0.01)?;
    for (name, curvature) in [("sharp", 100.0), ("flat", 1.0)] {
        let f =
            FnObjective::new(20, |w: &[f64]| w.iter().map(|w| curvature * (w.cosh() - 1.0)).sum());
        println!("{name}: {}", tolerance.measure(&f, &layout, &[0.0; 20])?);
    }
    Ok(())
}
