//! Grids as files: CSV and NumPy's NPY; JSON through serde, where NaN and infinities are strings.

use std::io::{self, Write};

#[cfg(feature = "serde")]
use super::Axis;
use super::Grid;
#[cfg(feature = "serde")]
use crate::SharpnessError;

impl Grid {
    /// Writes a line for each value so far: its coordinates, then the value. The columns are named
    /// x0, x1, ... and by the quantity.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_csv(&self, mut out: impl Write) -> io::Result<()> {
        let mut coordinates = vec![0.0; self.axes().len()];
        let names: Vec<String> = (0..coordinates.len()).map(|k| format!("x{k}")).collect();
        writeln!(out, "{},{}", names.join(","), self.quantity())?;
        for (place, value) in self.values().iter().enumerate() {
            self.coordinates(place, &mut coordinates);
            for coordinate in &coordinates {
                write!(out, "{coordinate},")?;
            }
            writeln!(out, "{value}")?;
        }
        Ok(())
    }

    /// Writes the values as an array of f64 in NumPy's format 1.0, shaped like the axes; what is not
    /// known yet is NaN.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_npy(&self, mut out: impl Write) -> io::Result<()> {
        let shape: String = self.axes().iter().map(|axis| format!("{}, ", axis.count)).collect();
        let header = format!(
            "{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}",
            shape.trim_end()
        );
        // Magic, version and length take 10 bytes; all of it with the newline is a multiple of 64.
        let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
        out.write_all(b"\x93NUMPY\x01\x00")?;
        out.write_all(&(padded as u16).to_le_bytes())?;
        writeln!(out, "{header:<width$}", width = padded - 1)?;
        for place in 0..self.len() {
            let value = self.values().get(place).copied().unwrap_or(f64::NAN);
            out.write_all(&value.to_le_bytes())?;
        }
        Ok(())
    }

    /// Writes the grid as JSON; [`read_json`](Self::read_json) reads it back, bit for bit.
    ///
    /// # Errors
    /// Those of the writer.
    #[cfg(feature = "serde")]
    pub fn write_json(&self, out: impl Write) -> io::Result<()> {
        serde_json::to_writer(out, self).map_err(io::Error::from)
    }

    /// Reads what [`write_json`](Self::write_json) wrote.
    ///
    /// # Errors
    /// Those of the reader, and for text that is no grid: its axes must be those of a grid, and its
    /// values not more than their points.
    #[cfg(feature = "serde")]
    pub fn read_json(source: impl io::Read) -> io::Result<Self> {
        serde_json::from_reader(source).map_err(io::Error::from)
    }
}

/// A grid as a file holds it, unchecked.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedGrid {
    quantity: String,
    axes: Vec<Axis>,
    #[serde(deserialize_with = "numbers::deserialize")]
    values: Vec<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<SavedGrid> for Grid {
    type Error = SharpnessError;

    fn try_from(saved: SavedGrid) -> Result<Self, SharpnessError> {
        Self::with_values(&saved.quantity, &saved.axes, saved.values)
    }
}

/// Numbers of which some may be what JSON has no word for: the strings "NaN", "inf" and "-inf".
/// Write `#[serde(with = "smoothout_sharpness::numbers")]` at a field of type `Vec<f64>`.
#[cfg(feature = "serde")]
pub mod numbers {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Word(String),
    }

    /// Writes them.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| {
            if value.is_finite() { Number::Finite(*value) } else { Number::Word(value.to_string()) }
        }))
    }

    /// Reads them.
    ///
    /// # Errors
    /// Those of the deserializer, and for another word.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let numbers: Vec<Number> = Vec::deserialize(deserializer)?;
        let value = |number| match number {
            Number::Finite(value) => Ok(value),
            Number::Word(word) if ["NaN", "inf", "-inf"].contains(&word.as_str()) => {
                word.parse().map_err(D::Error::custom)
            }
            Number::Word(word) => Err(D::Error::custom(format!("{word:?} is no number"))),
        };
        numbers.into_iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Axis, Chart, FnObjective, Grid};

    fn grid() -> Grid {
        let axes = [Axis { from: 0.0, to: 1.0, count: 2 }, Axis { from: 0.0, to: 2.0, count: 3 }];
        let mut grid = Grid::new("loss", &axes).unwrap();
        let f = FnObjective::new(
            2,
            |w: &[f64]| {
                if w[0] * w[1] == 2.0 { f64::NAN } else { 10.0 * w[0] - w[1] }
            },
        );
        let chart = Chart::new(&[0.0, 0.0], vec![vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap();
        grid.fill(&f, &chart).unwrap();
        grid
    }

    #[test]
    fn csv_has_a_line_a_point() {
        let mut text = Vec::new();
        grid().write_csv(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "x0,x1,loss\n0,0,0\n0,1,-1\n0,2,-2\n1,0,10\n1,1,9\n1,2,NaN\n");
    }

    /// The bytes that `numpy.save` writes for the same array: header of 128 bytes, then row by row.
    #[test]
    fn npy_is_numpys() {
        let mut bytes = Vec::new();
        grid().write_npy(&mut bytes).unwrap();
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3,), }";
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert!(std::str::from_utf8(&bytes[10..128]).unwrap().trim_end() == header);
        assert_eq!((bytes[127], bytes.len()), (b'\n', 128 + 6 * 8));
        assert_eq!(bytes[128 + 8..128 + 16], (-1.0_f64).to_le_bytes());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn json_comes_back_bit_for_bit() {
        let grid = grid();
        let mut text = Vec::new();
        grid.write_json(&mut text).unwrap();
        let back = Grid::read_json(text.as_slice()).unwrap();
        let bits = |grid: &Grid| grid.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!((bits(&back), back.axes()), (bits(&grid), grid.axes()));
        assert!(back.value(&[1, 2]).unwrap().is_nan());
        let read = |axes: &str, values: &str| {
            let text = format!("{{\"quantity\":\"loss\",\"axes\":[{axes}],\"values\":[{values}]}}");
            Grid::read_json(text.as_bytes()).map_err(|error| error.to_string())
        };
        let axis = |count: &str| format!("{{\"from\":0,\"to\":1,\"count\":{count}}}");
        assert_eq!(read(&axis("2"), "1.5").unwrap().values(), [1.5]);
        for (axes, values, said) in [
            (axis("2"), "null", "did not match"),
            (axis("2"), "\"1.5\"", "is no number"),
            (axis("2"), "1,2,3", "number of values is 3"),
            (axis("0"), "", "number of points is 0"),
            (axis("1000000000000"), "", "at most 2^24"),
            (vec![axis("4294967296"); 2].join(","), "", "at most 2^24"),
            (String::new(), "", "number of axes is 0"),
        ] {
            let error = read(&axes, values).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
