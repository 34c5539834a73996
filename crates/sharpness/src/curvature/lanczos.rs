//! Lanczos' method with full re-orthogonalisation.
//!
//! From a unit vector q_1 the recurrence beta_k q_{k+1} = H q_k - alpha_k q_k - beta_{k-1} q_{k-1}
//! builds an orthonormal basis Q of a Krylov space with Q'HQ = T, tridiagonal with the alphas and
//! betas. Each new vector is made orthogonal to all before, twice: without that, rounding brings back
//! copies of eigenvalues that have converged. When a Krylov space is exhausted (beta = 0), a fresh
//! random vector goes on in what is left, so that repeated eigenvalues are found too; before that a space
//! holds one vector of each eigenspace, and so each eigenvalue once.
//!
//! # Source
//! Lanczos 1950; Paige 1972 (what rounding does); Parlett 1980, "The Symmetric Eigenvalue Problem",
//! chapter 13 (re-orthogonalisation: "twice is enough").

use smoothout_tensor::{Purpose, StreamKey, fill_gaussian};

use super::operator::Operator;
use crate::dense::symmetric_eigen;
use crate::vector::{add_scaled, dot, epsilon, norm, project_out, scale, zeros};
use crate::{SharpnessError, TwiceDifferentiable, error};

/// The basis so far, and T.
pub(super) struct Lanczos<'o, O: TwiceDifferentiable> {
    operator: &'o Operator<'o, O>,
    scratch: O::Scratch,
    key: StreamKey,
    draws: u64,
    /// The columns of Q, the last one not yet multiplied.
    pub(super) basis: Vec<Vec<O::Real>>,
    alphas: Vec<f64>,
    betas: Vec<f64>,
    /// True when the whole space is spanned.
    pub(super) complete: bool,
}

impl<'o, O: TwiceDifferentiable> Lanczos<'o, O> {
    /// A start at a random unit vector.
    pub(super) fn new(operator: &'o Operator<'o, O>, seed: u64, copy: u64) -> Self {
        let key = StreamKey::new(seed, Purpose::Measurement).step(LANCZOS).copy(copy);
        let mut lanczos = Self {
            operator,
            scratch: operator.objective.scratch(),
            key,
            draws: 0,
            basis: Vec::new(),
            alphas: Vec::new(),
            betas: Vec::new(),
            complete: false,
        };
        lanczos.fresh();
        lanczos
    }

    /// The number of steps taken: the size of T.
    pub(super) fn steps(&self) -> usize {
        self.alphas.len()
    }

    /// One Hessian-vector product.
    pub(super) fn step(&mut self) -> Result<(), SharpnessError> {
        let k = self.steps();
        let mut next = zeros(self.operator.objective.dimension());
        self.operator.apply(&self.basis[k], &mut next, &mut self.scratch);
        let before = error::finite("a Hessian-vector product", norm(&next))?;
        self.alphas.push(dot(&self.basis[k], &next));
        self.orthogonalize(&mut next);
        let beta = norm(&next);
        if k + 1 == self.operator.selected.count() {
            self.complete = true;
            self.betas.push(0.0);
        } else if beta <= 16.0 * epsilon::<O::Real>() * before.max(self.size()) {
            self.betas.push(0.0);
            self.fresh();
        } else {
            scale(&mut next, 1.0 / beta);
            self.betas.push(beta);
            self.basis.push(next);
        }
        Ok(())
    }

    /// The largest number in T.
    fn size(&self) -> f64 {
        self.alphas.iter().chain(&self.betas).fold(0.0, |most, a| most.max(a.abs()))
    }

    fn orthogonalize(&self, vector: &mut [O::Real]) {
        for _pass in 0..2 {
            project_out(&self.basis, vector);
        }
    }

    /// Adds a random unit vector orthogonal to the basis.
    fn fresh(&mut self) {
        let mut vector = zeros(self.operator.objective.dimension());
        fill_gaussian(self.key.block(self.draws), &mut vector);
        self.draws += 1;
        self.operator.selected.mask(&mut vector);
        self.orthogonalize(&mut vector);
        let length = norm(&vector);
        scale(&mut vector, 1.0 / length);
        self.basis.push(vector);
    }

    /// The Ritz values (ascending), the first and the last component of each eigenvector of T, and
    /// those vectors, k numbers each. beta_k times the last component is the residual ‖Hx - theta x‖.
    pub(super) fn ritz(&self) -> (Vec<f64>, Vec<f64>) {
        let k = self.steps();
        let mut t = vec![0.0; k * k];
        for i in 0..k {
            t[i * k + i] = self.alphas[i];
            if i + 1 < k {
                t[i * k + i + 1] = self.betas[i];
                t[(i + 1) * k + i] = self.betas[i];
            }
        }
        symmetric_eigen(&t, k)
    }

    /// The last beta.
    pub(super) fn last_beta(&self) -> f64 {
        self.betas.last().copied().unwrap_or(0.0)
    }

    /// Writes Q s.
    pub(super) fn combine(&self, s: &[f64], out: &mut [O::Real]) {
        out.fill(O::Real::default());
        for (q, &s) in self.basis.iter().zip(s) {
            add_scaled(out, s, q);
        }
    }

    /// ‖H x - theta x‖ of a unit vector, by one more product.
    pub(super) fn residual(&mut self, theta: f64, x: &[O::Real]) -> f64 {
        let mut product = zeros(x.len());
        self.operator.apply(x, &mut product, &mut self.scratch);
        add_scaled(&mut product, -theta, x);
        norm(&product)
    }
}

/// Keeps the streams apart from those of other measurements.
const LANCZOS: u64 = 5;
