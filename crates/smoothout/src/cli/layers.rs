//! The table of `bench step --layers`: where the time of an update goes.
//!
//! Layers alike are one row. What is left over is the update, the loss, and in training the sum of
//! the ghost batches' gradients.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use smoothout_nn::LayerTime;

/// A layer, or several alike. Times are milliseconds of an update, all of the row together.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LayerRow {
    /// Of the first.
    name: String,
    count: usize,
    kind: String,
    output: [usize; 3],
    forward_ms: f64,
    backward_ms: f64,
    /// Multiply-adds of direct convolution count as two, whatever the kernels do; none in layers without.
    gflops: Option<f64>,
}

impl LayerRow {
    fn ms(&self) -> f64 {
        self.forward_ms + self.backward_ms
    }
}

/// The rows of layers that took their time in so many updates. Those whose work is done in the passes of
/// others are left out.
pub(super) fn rows(layers: &[LayerTime], updates: usize, images: usize) -> Vec<LayerRow> {
    let mut rows: Vec<(LayerRow, f64)> = Vec::new();
    let ms = |time: Duration| time.as_secs_f64() * 1e3 / updates as f64;
    for layer in layers.iter().filter(|layer| !layer.total().is_zero()) {
        let same = |row: &LayerRow| row.kind == layer.kind && row.output == layer.output;
        let at = rows.iter().position(|(row, _)| same(row)).unwrap_or_else(|| {
            let row = LayerRow {
                name: layer.name.clone(),
                count: 0,
                kind: layer.kind.clone(),
                output: layer.output,
                forward_ms: 0.0,
                backward_ms: 0.0,
                gflops: None,
            };
            rows.push((row, 0.0));
            rows.len() - 1
        });
        let (row, operations) = &mut rows[at];
        row.count += 1;
        row.forward_ms += ms(layer.forward);
        row.backward_ms += ms(layer.backward);
        *operations += 2.0 * (layer.multiply_adds * images) as f64;
    }
    let rate = |(mut row, operations): (LayerRow, f64)| {
        row.gflops = (operations > 0.0).then(|| operations * 1e-6 / row.ms());
        row
    };
    rows.into_iter().map(rate).collect()
}

/// The rows as text, for updates of so many milliseconds.
pub(super) struct Table<'a> {
    pub(super) rows: &'a [LayerRow],
    pub(super) ms: f64,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.rows.iter().map(|row| row.kind.len()).max().unwrap_or(0).max(5);
        let share = |ms: f64| 100.0 * ms / self.ms;
        writeln!(
            f,
            "{:>5}  {:kind$}  {:>12}  {:>8}  {:>8}  {:>6}  {:>7}",
            "count", "layer", "output", "forward", "backward", "share", "GFLOP/s"
        )?;
        for row in self.rows {
            let [height, width, channels] = row.output;
            let ms = |ms: f64| if ms > 0.0 { format!("{ms:.3}") } else { String::new() };
            writeln!(
                f,
                "{:>5}  {:kind$}  {:>12}  {:>8}  {:>8}  {:>5.1}%  {:>7}",
                row.count,
                row.kind,
                format!("{height}x{width}x{channels}"),
                ms(row.forward_ms),
                ms(row.backward_ms),
                share(row.ms()),
                row.gflops.map_or(String::new(), |gflops| format!("{gflops:.1}"))
            )?;
        }
        let rest = self.ms - self.rows.iter().map(LayerRow::ms).sum::<f64>();
        write!(f, "the rest (update, loss, images): {rest:.3} ms, {:.1}%", share(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: &str, milliseconds: [u64; 2], multiply_adds: usize) -> LayerTime {
        let [forward, backward] = milliseconds.map(Duration::from_millis);
        let (name, kind, output) = (kind.to_uppercase(), kind.to_owned(), [8, 8, 16]);
        LayerTime { name, kind, output, multiply_adds, forward, backward }
    }

    #[test]
    fn layers_alike_are_one_row_and_idle_ones_none() {
        let layers = [
            layer("conv", [2, 10], 3_000_000),
            layer("batch norm", [0, 0], 0),
            layer("pool", [10, 0], 0),
            layer("conv", [4, 2], 3_000_000),
        ];
        // Two updates of five images each.
        let rows = rows(&layers, 2, 5);
        assert_eq!(rows.len(), 2);
        let conv = &rows[0];
        assert_eq!((conv.name.as_str(), conv.count, conv.kind.as_str()), ("CONV", 2, "conv"));
        assert_eq!([conv.forward_ms, conv.backward_ms], [3.0, 6.0]);
        // 2 operations x 6 M x 5 images in 9 ms.
        assert!((conv.gflops.unwrap() - 60.0 / 9.0).abs() < 1e-9);
        assert_eq!((rows[1].count, rows[1].forward_ms, rows[1].gflops), (1, 5.0, None));
        let table = Table { rows: &rows, ms: 20.0 }.to_string();
        assert!(table.contains("45.0%") && table.contains("6.7"), "{table}");
        assert!(table.ends_with("6.000 ms, 30.0%"), "{table}");
    }
}
