//! Eigenvalues, trace and spectrum of a Hessian that only finite differences of a gradient know.

use smoothout_sharpness::{
    Eigenvalues, FiniteDifferenceHvp, FnObjective, ParameterLayout, SharpnessError, Spectrum,
    Trace, TraceEstimator,
};

fn main() -> Result<(), SharpnessError> {
    let value = |w: &[f64]| {
        let sum: f64 = w.iter().sum();
        w.iter().enumerate().map(|(i, w)| (i % 5) as f64 * w.cosh()).sum::<f64>() + sum.sin()
    };
    let f = FnObjective::new(200, value).with_gradient(|w, g| {
        let along = w.iter().sum::<f64>().cos();
        g.iter_mut()
            .zip(w)
            .enumerate()
            .for_each(|(i, (g, w))| *g = (i % 5) as f64 * w.sinh() + along);
        value(w)
    });
    let f = FiniteDifferenceHvp::new(f);
    let (layout, w) = (ParameterLayout::flat(200), vec![-0.01; 200]);
    println!("{}", Eigenvalues::new(3, 2)?.measure(&f, &layout, &w)?);
    println!("{}", Trace::new().measure(&f, &layout, &w)?);
    let better = Trace::new().probes(30)?.estimator(TraceEstimator::HutchPlusPlus { sketch: 10 });
    println!("{}", better.measure(&f, &layout, &w)?);
    println!("{}", Spectrum::new(10, 30)?.measure(&f, &layout, &w)?);
    Ok(())
}
