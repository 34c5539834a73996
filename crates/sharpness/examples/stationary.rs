//! Theorem 1 as a property test of a function of one's own: symmetric about a point, it has a
//! stationary expected loss there, at every radius; elsewhere it has not.

use smoothout_sharpness::{
    Differentiable, FnObjective, SharpnessError, assert_stationary_expected_loss,
    expected_gradient_at,
};

/// ln cosh of the distance to `centre` in each coordinate.
fn valley(centre: Vec<f64>) -> impl Differentiable<Real = f64> {
    let value = {
        let centre = centre.clone();
        move |w: &[f64]| w.iter().zip(&centre).map(|(w, c)| (w - c).cosh().ln()).sum()
    };
    FnObjective::new(centre.len(), value.clone()).with_gradient(move |w: &[f64], gradient| {
        gradient.iter_mut().zip(w).zip(&centre).for_each(|((g, w), c)| *g = (w - c).tanh());
        value(w)
    })
}

fn main() -> Result<(), SharpnessError> {
    for dimension in 1..=64 {
        let centre: Vec<f64> = (0..dimension).map(|i| f64::from(i).sin()).collect();
        let objective = valley(centre.clone());
        for radius in [1e-3, 1.0, 100.0] {
            assert_stationary_expected_loss(&objective, &centre, radius);
        }
    }
    println!("symmetric: stationary in 1 to 64 dimensions at every radius tried");

    // What the assertion looks at, where it would fail.
    let found = expected_gradient_at(&valley(vec![0.0; 3]), &[0.5; 3], 1.0, 16)?;
    println!("half a unit beside the centre: {found:?}, stationary: {}", found.holds());
    assert!(!found.holds());
    Ok(())
}
