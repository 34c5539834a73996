//! What the guards say about objectives that are not what they should be.

use std::sync::atomic::{AtomicU64, Ordering};

use smoothout_sharpness::{
    FnObjective, SharpnessError, check_gradient, check_hessian, check_value,
};

fn main() {
    let value = |w: &[f64]| w.iter().map(|w| w.powi(4)).sum::<f64>();
    let sound = FnObjective::new(3, value).with_gradient(|w, g| {
        g.iter_mut().zip(w).for_each(|(g, w)| *g = 4.0 * w.powi(3));
        value(w)
    });
    let flipped = FnObjective::new(3, value).with_gradient(|w, g| {
        g.iter_mut().zip(w).for_each(|(g, w)| *g = -4.0 * w.powi(3));
        value(w)
    });
    let calls = AtomicU64::new(0);
    let dropout = FnObjective::new(3, |w: &[f64]| {
        value(w) * (1.0 + calls.fetch_add(1, Ordering::Relaxed) as f64)
    });
    let pole = FnObjective::new(3, |w: &[f64]| w[0] / (w[1] - 0.5));
    let sheared = FnObjective::new(3, value).with_hessian(|w, v, product| {
        product.iter_mut().zip(w).zip(v).for_each(|((p, w), v)| *p = 12.0 * w * w * v);
        product[0] += 5.0 * v[1];
    });
    let w = [1.0, 0.5, -2.0];
    say("a right gradient", check_gradient(&sound, &w).map(|_| ()));
    say("a flipped gradient", check_gradient(&flipped, &w).map(|_| ()));
    say("dropout left on", check_value(&dropout, &w).map(|_| ()));
    say("a pole", check_value(&pole, &w).map(|_| ()));
    say("a sheared Hessian product", check_hessian(&sheared, &w, 0));
}

fn say(what: &str, found: Result<(), SharpnessError>) {
    match found {
        Ok(()) => println!("{what}: passed"),
        Err(error) => println!("{what}: {error}"),
    }
}
