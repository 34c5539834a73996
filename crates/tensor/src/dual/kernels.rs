//! Products of dual matrices and images by the kernels of their parts: each operation is linear in
//! both of its arguments, so that its tangent is `f(x', y) + f(x, y')`.

use rayon::prelude::*;

use super::Dual;
use crate::Real;
use crate::kernels::{Conv2dShape, Kernels, MatrixMut, MatrixRef, Scratch};

/// Elements that one task copies.
const PIECE: usize = 1 << 14;

/// Values and tangents, apart; no tangents if nothing moves.
struct Parts<R> {
    values: Vec<R>,
    tangents: Option<Vec<R>>,
}

impl<R: Real> Parts<R> {
    fn new(numbers: &[Dual<R>]) -> Self {
        let part = |part: fn(&Dual<R>) -> R| {
            let mut values = vec![R::zero(); numbers.len()];
            values.par_chunks_mut(PIECE).zip(numbers.par_chunks(PIECE)).for_each(|(to, from)| {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = part(from));
            });
            values
        };
        let moves =
            numbers.par_chunks(PIECE).any(|piece| piece.iter().any(|x| !x.tangent.is_zero()));
        Self { values: part(|x| x.value), tangents: moves.then(|| part(|x| x.tangent)) }
    }
}

/// out = f(x, y), f being linear in x and in y.
fn bilinear<R: Real>(
    x: &[Dual<R>],
    y: &[Dual<R>],
    out: &mut [Dual<R>],
    mut f: impl FnMut(&[R], &[R], &mut [R]),
) {
    let (x, y) = (Parts::new(x), Parts::new(y));
    let mut product = vec![R::zero(); out.len()];
    let mut write = |product: &[R], to: fn(&mut Dual<R>, R)| {
        out.par_chunks_mut(PIECE).zip(product.par_chunks(PIECE)).for_each(|(out, product)| {
            out.iter_mut().zip(product).for_each(|(out, &product)| to(out, product));
        });
    };
    f(&x.values, &y.values, &mut product);
    write(&product, |out, value| *out = Dual::constant(value));
    for (x, y) in [(x.tangents.as_ref(), Some(&y.values)), (Some(&x.values), y.tangents.as_ref())] {
        if let (Some(x), Some(y)) = (x, y) {
            f(x, y, &mut product);
            write(&product, |out, tangent| out.tangent += tangent);
        }
    }
}

impl<R: Real> Kernels for Dual<R> {
    fn gemm(a: MatrixRef<'_, Self>, b: MatrixRef<'_, Self>, c: MatrixMut<'_, Self>) {
        let (rows, columns) = (c.rows, c.columns);
        bilinear(a.data, b.data, c.data, |x, y, out| {
            R::gemm(a.with_data(x), b.with_data(y), MatrixMut::new(out, rows, columns));
        });
    }

    fn conv2d_forward(
        shape: &Conv2dShape,
        input: &[Self],
        weight: &[Self],
        output: &mut [Self],
        _scratch: &mut Scratch<Self>,
    ) {
        let scratch = &mut Scratch::new();
        bilinear(input, weight, output, |x, w, y| R::conv2d_forward(shape, x, w, y, scratch));
    }

    fn conv2d_input_gradient(
        shape: &Conv2dShape,
        weight: &[Self],
        output_gradient: &[Self],
        input_gradient: &mut [Self],
        _scratch: &mut Scratch<Self>,
    ) {
        let scratch = &mut Scratch::new();
        bilinear(weight, output_gradient, input_gradient, |w, dy, dx| {
            R::conv2d_input_gradient(shape, w, dy, dx, scratch);
        });
    }

    fn conv2d_weight_gradient(
        shape: &Conv2dShape,
        input: &[Self],
        output_gradient: &[Self],
        weight_gradient: &mut [Self],
        _scratch: &mut Scratch<Self>,
    ) {
        let scratch = &mut Scratch::new();
        bilinear(input, output_gradient, weight_gradient, |x, dy, dw| {
            R::conv2d_weight_gradient(shape, x, dy, dw, scratch);
        });
    }
}
