//! The benches as a user meets them: updates, their layers, the machine.

use serde_json::Value;

use crate::train::{smoothout, success};

#[test]
fn updates_are_timed() {
    let words = [
        "bench",
        "step",
        "--model",
        "f1",
        "--batch-size",
        "64",
        "--steps",
        "2",
        "--warm-up",
        "1",
        "--json",
    ];
    for more in [
        &[][..],
        &["--method", "smoothout", "--ghost-batch-size", "32"],
        &["--method", "asam"],
        &["--method", "entropy-sgd"],
        &["--forward"],
    ] {
        let output = smoothout(&[&words[..], more].concat());
        success(&output);
        let text = String::from_utf8(output.stdout).unwrap();
        let times: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        for field in ["ms", "min", "max", "img_s", "gflops"] {
            assert!(times[field].as_f64().unwrap() > 0.0, "{field} of {times}");
        }
        assert!(times["kernels"].is_string() && times["threads"].as_u64().unwrap() > 0);
        assert!(times["layers"].is_null());
    }
}

#[test]
fn layers_are_timed() {
    let words = ["bench", "step", "--model", "c1", "--batch-size", "8", "--steps", "1", "--layers"];
    for (more, gradients) in [
        (&["--kernels", "auto"][..], true),
        (&["--kernels", "scalar"], true),
        (&["--forward"], false),
        (&["--method", "adasmoothout", "--ghost-batch-size", "4"], true),
    ] {
        let output = smoothout(&[&words[..], more, &["--json"]].concat());
        success(&output);
        let times: Value = serde_json::from_slice(&output.stdout).unwrap();
        let layers = times["layers"].as_array().unwrap();
        let second = layers.iter().find(|layer| layer["kind"] == "conv 5x5, 64 to 64").unwrap();
        assert_eq!((&second["count"], &second["output"][2]), (&1.into(), &64.into()));
        assert!(second["forward_ms"].as_f64().unwrap() > 0.0);
        assert_eq!(second["backward_ms"].as_f64().unwrap() > 0.0, gradients, "{second}");
        let ms = |layer: &Value| {
            ["forward_ms", "backward_ms"].map(|field| layer[field].as_f64().unwrap())
        };
        let sum: f64 = layers.iter().flat_map(ms).sum();
        assert!(sum <= times["ms"].as_f64().unwrap() * 1.0001, "{times}");
    }
    let output = smoothout(&words);
    success(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("conv 5x5, 3 to 64  ") && text.contains("the rest"), "{text}");
}

#[test]
fn the_machine_is_measured() {
    let output = smoothout(&["bench", "machine", "--json"]);
    success(&output);
    let machine: Value = serde_json::from_slice(&output.stdout).unwrap();
    for field in ["threads", "fma_peak_gflops", "register_tile_gflops", "memory_bandwidth_gbs"] {
        assert!(machine[field].as_f64().unwrap() > 0.0, "{machine}");
    }
}
