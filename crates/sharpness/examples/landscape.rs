//! A line between two points and a plane of two filter-normalised directions, as CSV on the standard
//! output.

use smoothout_sharpness::{Axis, Chart, FnObjective, Grid, ParameterLayout, Selection};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let f = FnObjective::new(3, |w: &[f64]| w[0].cosh() + (w[1] * w[2]).powi(2));
    let (from, to) = ([1.0, -1.0, 2.0], [0.0, 1.0, 0.5]);
    let mut line = Grid::new("loss", &[Axis { from: -1.0, to: 2.0, count: 13 }])?;
    line.fill(&f, &Chart::line(&from, &to)?)?;
    line.write_csv(std::io::stdout())?;
    let axis = Axis { from: -0.3, to: 0.3, count: 7 };
    let layout = ParameterLayout::flat(3);
    let chart = Chart::filter_normalized(&layout, &from, &Selection::all(), 2, 1)?;
    let mut plane = Grid::new("loss", &[axis, axis])?;
    plane.fill(&f, &chart)?;
    plane.write_csv(std::io::stdout())?;
    Ok(())
}
