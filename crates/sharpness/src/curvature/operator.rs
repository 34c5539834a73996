//! The Hessian restricted to the selected blocks, as an operator: P H(w) P.

use smoothout_tensor::{ParameterLayout, Selection};

use crate::selected::Selected;
use crate::{SharpnessError, TwiceDifferentiable, check_hessian, error};

/// v -> P H(w) P v for vectors that live on the selected blocks.
pub(super) struct Operator<'a, O: TwiceDifferentiable> {
    pub(super) objective: &'a O,
    pub(super) selected: Selected,
    w: &'a [O::Real],
}

impl<'a, O: TwiceDifferentiable> Operator<'a, O> {
    /// The operator, after the guards.
    pub(super) fn new(
        objective: &'a O,
        layout: &ParameterLayout,
        selection: &Selection,
        w: &'a [O::Real],
        seed: u64,
    ) -> Result<Self, SharpnessError> {
        error::same_length("the layout", layout.len(), objective.dimension())?;
        check_hessian(objective, w, seed)?;
        Ok(Self { objective, selected: Selected::new(selection, layout)?, w })
    }

    /// Writes P H v to `product`; v is zero outside the selected blocks.
    pub(super) fn apply(&self, v: &[O::Real], product: &mut [O::Real], scratch: &mut O::Scratch) {
        self.objective.hessian_vector_product(self.w, v, product, scratch);
        self.selected.mask(product);
    }
}
