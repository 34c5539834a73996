//! Contours, holes, scales, names.

use super::lines::pieces;
use super::*;
use crate::{Axis, Chart, FnObjective, Grid};

fn plane(hole: bool) -> Grid {
    let axis = Axis { from: -1.0, to: 1.0, count: 21 };
    let mut grid = Grid::new("loss", &[axis, axis]).unwrap();
    let f = FnObjective::new(2, |w: &[f64]| {
        if hole && w[0] == 0.0 && w[1] == 0.0 { f64::NAN } else { w[0] * w[0] + w[1] * w[1] }
    });
    let chart = Chart::new(&[0.0, 0.0], vec![vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap();
    grid.fill(&f, &chart).unwrap();
    grid
}

/// The contour of x^2 + y^2 at 1/4 is a circle of radius 1/2.
#[test]
fn contours_are_where_the_level_is() {
    let segments = contour(&plane(false), 0.25);
    assert!(segments.len() > 20);
    for (x, y) in segments.into_iter().flatten() {
        assert!((x.hypot(y) - 0.5).abs() < 0.01, "{x} {y}");
    }
}

/// NaN is drawn as a hole: one cell less.
#[test]
fn nan_is_a_hole() {
    let cells = |hole| {
        plot_plane(&Picture::new("plane"), &plane(hole), 5).unwrap().matches("<rect").count()
    };
    assert_eq!(cells(false) - cells(true), 1);
    let axis = Axis { from: 0.0, to: 4.0, count: 5 };
    let mut line = Grid::new("loss", &[axis]).unwrap();
    let f = FnObjective::new(1, |w: &[f64]| if w[0] == 2.0 { f64::NAN } else { w[0] });
    line.fill(&f, &Chart::line(&[0.0], &[1.0]).unwrap()).unwrap();
    assert_eq!(pieces(&line), [vec![(0.0, 0.0), (1.0, 1.0)], vec![(3.0, 3.0), (4.0, 4.0)]]);
    let svg =
        plot_lines(&Picture::new("line"), &[(&line, LineStyle::Left), (&line, LineStyle::Right)])
            .unwrap();
    assert_eq!(svg.matches("#0000FF").count(), 2);
    assert!(svg.matches("#FF0000").count() == 2 && svg.ends_with("</svg>\n"));
    assert!(matches!(plot_plane(&Picture::new(""), &line, 3), Err(PlotError::Axes { found: 1 })));
}

/// A wide range of positive values is logarithmic, and shares and values are inverse.
#[test]
fn scales_go_there_and_back() {
    for (low, high) in [(-1.0, 3.0), (0.5, 4.0), (0.3, 8.0), (1e-3, 50.0), (2.0, 2.0)] {
        let scale = ColourScale::of((low, high));
        assert_eq!(matches!(scale, ColourScale::Logarithmic(..)), low > 0.0 && high / low > 10.0);
        for share in [0.0, 0.3, 1.0] {
            assert!((scale.share(scale.value(share)) - share).abs() < 1e-12);
        }
    }
}

/// Values between which no axis can have an extent are holes, and the picture comes to an end.
#[test]
fn values_as_large_as_can_be_are_holes() {
    let axis = Axis { from: 0.0, to: 4.0, count: 5 };
    for large in [1e308, 4e307] {
        let mut line = Grid::new("loss", &[axis]).unwrap();
        let f = FnObjective::new(1, |w: &[f64]| {
            large * (w[0] - 2.0).signum() * (w[0] - 2.0).abs().min(1.0)
        });
        line.fill(&f, &Chart::line(&[0.0], &[1.0]).unwrap()).unwrap();
        assert_eq!(line.values(), [-large, -large, 0.0, large, large]);
        assert_eq!(pieces(&line), [vec![(2.0, 0.0)]]);
        assert!(plot_lines(&Picture::new("line"), &[(&line, LineStyle::Left)]).is_ok());
        let mut flat = Grid::new("loss", &[axis, axis]).unwrap();
        let f = FnObjective::new(2, |w: &[f64]| if w[0] > 2.0 { large } else { w[0] + w[1] });
        let chart = Chart::new(&[0.0, 0.0], vec![vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap();
        flat.fill(&f, &chart).unwrap();
        assert!(plot_plane(&Picture::new("plane"), &flat, 5).is_ok());
    }
}

#[test]
fn numbers_are_short() {
    let found = [0.0, 0.25, -3.0, 12.3456, 1234.56, 123_456.0, 1e-5, -1e-17].map(short);
    assert_eq!(found, ["0", "0.25", "-3", "12.346", "1234.6", "1.2e5", "1.0e-5", "0"]);
}

/// Marked points and names stand in the picture.
#[test]
fn points_and_axes_are_named() {
    let picture = Picture::new("three").axes(["first", "second"]).point("A", &[0.0, 0.0]);
    let svg =
        plot_plane(&picture.clone().point("B", &[0.5, 0.5]).path(), &plane(false), 3).unwrap();
    for word in ["three", "first", "second", "A", "B", "loss"] {
        assert!(svg.contains(&format!("\n{word}\n")), "{word} is not in {svg}");
    }
    assert_eq!(svg.matches("<circle").count(), 2);
}
