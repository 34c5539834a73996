//! Keskar's sharpness of a chain of 1000 parameters: full space, and 100 random directions.

use smoothout_sharpness::{Effort, FnObjective, Keskar, ParameterLayout, SharpnessError, Space};

fn main() -> Result<(), SharpnessError> {
    let value = |w: &[f64]| w.windows(2).map(|p| (p[0] - p[1]).powi(2) + p[0].cosh() - 1.0).sum();
    let chain = FnObjective::new(1000, value).with_gradient(|w, g| {
        g.fill(0.0);
        for i in 1..w.len() {
            let difference = 2.0 * (w[i - 1] - w[i]);
            g[i - 1] += difference + w[i - 1].sinh();
            g[i] -= difference;
        }
        value(w)
    });
    let layout = ParameterLayout::flat(1000);
    let w = vec![0.01; 1000];
    let protocol = Keskar::new(1e-3)?;
    println!("{}", protocol.measure(&chain, &layout, &w)?);
    let converged = protocol.clone().effort(Effort::Converged);
    println!("{}", converged.measure(&chain, &layout, &w)?);
    let subspace = protocol.space(Space::Subspace { dimension: 100 })?;
    println!("{}", subspace.measure(&chain, &layout, &w)?);
    Ok(())
}
