//! Two layers with a ReLU between them, and the same function with the first layer at a tenth and the
//! second at ten times its size: which measures of sharpness move?

use smoothout_sharpness::{
    Audit, BlockKind, FnObjective, ParameterLayout, SharpnessError, rescale_blocks,
};

const DATA: [(f64, f64); 3] = [(1.0, 1.0), (2.0, 1.5), (-1.0, 0.0)];

fn main() -> Result<(), SharpnessError> {
    let mut layout = ParameterLayout::new();
    layout.push("fc1.weight", &[2, 1], BlockKind::Weight)?;
    layout.push("fc2.weight", &[1, 2], BlockKind::Weight)?;
    // w = (a, b, c, d): c relu(a x) + d relu(b x), half the mean squared error.
    let loss = |w: &[f64], g: &mut [f64]| {
        g.fill(0.0);
        let mut value = 0.0;
        for (x, y) in DATA {
            let hidden = [w[0] * x, w[1] * x].map(|h| h.max(0.0));
            let off = w[2] * hidden[0] + w[3] * hidden[1] - y;
            value += off * off / 6.0;
            for i in 0..2 {
                g[i] += if hidden[i] > 0.0 { off * w[2 + i] * x / 3.0 } else { 0.0 };
                g[2 + i] += off * hidden[i] / 3.0;
            }
        }
        value
    };
    let f = FnObjective::new(4, |w: &[f64]| loss(w, &mut [0.0; 4])).with_gradient(loss);
    let w = [1.0, 0.5, 0.7, 0.4];
    let rescaled = rescale_blocks(&layout, &w, &[("fc1.weight", 0.1), ("fc2.weight", 10.0)])?;
    println!("{}", Audit::new(0.05, 1e-3)?.measure(&f, &layout, &w, &rescaled)?);
    Ok(())
}
