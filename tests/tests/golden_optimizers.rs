//! SGD, Adam and AdamW against PyTorch: the weights after each of twenty given gradients.

use serde_json::Value;
use smoothout_optim::{Adam, BaseUpdate, Sgd, Update, WeightDecay};
use smoothout_tensor::Real;
use smoothout_tests::{Vectors, assert_close};

fn number(settings: &Value, key: &str) -> Option<f64> {
    settings[key].as_f64()
}

fn rule<R: Real>(name: &str, settings: &Value) -> BaseUpdate<R> {
    let decay = number(settings, "weight_decay").unwrap_or(0.0);
    if !name.starts_with("adam") {
        let momentum = number(settings, "momentum").unwrap_or(0.0);
        let nesterov = settings["nesterov"].as_bool().unwrap_or(false);
        let sgd = Sgd::new().momentum(momentum).unwrap().weight_decay(decay).unwrap();
        return BaseUpdate::Sgd(sgd.nesterov(nesterov));
    }
    let kind = if name == "adamw" { WeightDecay::Decoupled } else { WeightDecay::Coupled };
    let mut adam = Adam::new().weight_decay(decay, kind).unwrap();
    if let Some(betas) = settings["betas"].as_array() {
        adam = adam.betas([betas[0].as_f64().unwrap(), betas[1].as_f64().unwrap()]).unwrap();
    }
    if let Some(epsilon) = number(settings, "eps") {
        adam = adam.epsilon(epsilon).unwrap();
    }
    BaseUpdate::Adam(adam)
}

fn check<R: Real>(tolerance: f64) {
    let vectors = Vectors::open("optimizers");
    let gradients = vectors.get("gradients");
    for (name, settings) in vectors.settings().as_object().unwrap() {
        let mut rule = rule::<R>(name, settings);
        let mut w = vectors.get("initial").to::<R>();
        let m = w.len();
        let expected = vectors.get(name);
        let steps = gradients.to::<R>();
        for (step, gradient) in steps.chunks(m).enumerate() {
            rule.update(&mut w, gradient, 1.0, settings["lr"].as_f64().unwrap(), step as u64);
            let expected = &expected.values[step * m..(step + 1) * m];
            assert_close(&format!("{name}, step {step}"), &w, expected, tolerance, 0.0);
        }
    }
}

#[test]
fn updates_are_pytorchs_in_f64() {
    check::<f64>(1e-13);
}

#[test]
fn updates_are_pytorchs_in_f32() {
    check::<f32>(1e-6);
}
