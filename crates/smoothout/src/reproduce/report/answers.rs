//! The paper's questions, answered from intervals.
//!
//! Which arms answer what follows from their settings: the smallest batch size of a study is its
//! small batch; a smoothed arm belongs to the plain one whose other settings are the same.

use super::arms::{ArmView, StudyView};
use super::quantity::{measure_name, name};
use super::table::{Row, Table};
use super::tables::{DIFFERENCE_COLUMNS, difference_cells};
use super::verdict::{KINDS, Sign, Trained, Verdict, closed, generalises_worse, verdict};
use crate::reproduce::statistics::PairedDifference;
use crate::reproduce::study::Quantity;

/// What must be known to read the answers.
pub(super) const HOW_ANSWERED: &str = "The paper's claim is \"yes\" to each. An answer follows from \
    the 95 % interval of a difference paired by seed; an interval that includes 0 shows nothing, \
    neither a difference nor that there is none. From two to four pairs an interval rests on the \
    differences being normal, which so few cannot show: no p value is given there. Intervals are not \
    adjusted for the number of comparisons: where nothing differs, one in 20 excludes 0 all the same.";

/// A question with all that the studies say to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    pub(super) text: &'static str,
    /// The answers counted, in words.
    pub(super) summary: String,
    pub(super) table: Table,
}

const TOP1: Quantity = Quantity::LastTop1;
const TRAIN: Quantity = Quantity::TrainTop1;

/// Arms of which the first is compared with the second.
type Pair<'a> = (&'a ArmView<'a>, &'a ArmView<'a>);

/// A question while its rows are gathered.
struct Draft {
    text: &'static str,
    table: Table,
    verdicts: Vec<Verdict>,
}

impl Draft {
    fn new(text: &'static str) -> Self {
        Self {
            text,
            table: Table::new("Answers, each from the interval beside it", DIFFERENCE_COLUMNS),
            verdicts: Vec::new(),
        }
    }

    /// A row that answers.
    fn answer(
        &mut self,
        name: String,
        quantity: Quantity,
        arms: Pair<'_>,
        answer: impl FnOnce(Sign) -> (Verdict, &'static str),
    ) {
        let (verdict, words) = answer(sign(quantity, arms));
        self.verdicts.push(verdict);
        self.row(name, quantity, arms, words);
    }

    /// A row to read the answers with.
    fn row(&mut self, name: String, quantity: Quantity, arms: Pair<'_>, remark: &str) {
        let found = difference(quantity, arms);
        self.table.row(difference_cells(name, remark, quantity, found.as_ref()));
    }

    fn heading(&mut self, view: &StudyView<'_>, text: &str) {
        self.table.rows.push(Row::Heading(format!("{}: {text}", view.study.title)));
    }

    /// Says of a comparison of sharpness that the large batch is trained less far.
    fn note_how_far(&mut self, view: &StudyView<'_>, pair: Pair<'_>, trained: Trained) {
        let said = match trained {
            Trained::AsFar => return,
            Trained::NotShown => "whether the large batch is trained as far is not shown",
            Trained::LessFar => "the large batch is trained less far",
        };
        self.table.notes.push(format!(
            "{}: {}: {said} (train top-1 % above), and sharpness changes in the course of training.",
            view.study.title,
            against(pair)
        ));
    }

    fn finish(self) -> Question {
        let of = self.verdicts.len();
        let counted = KINDS.iter().map(|(kind, word)| {
            (self.verdicts.iter().filter(|verdict| *verdict == kind).count(), *word)
        });
        let counted: Vec<String> = counted
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{word} in {count}"))
            .collect();
        // Several measures of one pair of arms are no independent answers.
        let pairs = self.table.rows.iter().filter(|row| matches!(row, Row::Heading(_))).count();
        let about = match pairs {
            pairs if pairs == of => String::new(),
            1 => ", measures of one pair of arms".to_owned(),
            pairs => format!(", measures of {pairs} pairs of arms"),
        };
        let summary = match of {
            0 => "No study here answers it.".to_owned(),
            1 => format!("One comparison: {}.", counted.join(", ").replace(" in 1", "")),
            _ => format!("Of {of} comparisons{about}: {}.", counted.join(", ")),
        };
        Question { text: self.text, summary, table: self.table }
    }
}

/// All questions. Sweeps on held-out examples choose a radius and answer none.
pub(super) fn questions(views: &[StudyView<'_>]) -> Vec<Question> {
    let mut worse =
        Draft::new("Does large-batch training generalise worse than small-batch training?");
    let mut sharper = Draft::new("Are the large-batch solutions sharper?");
    let mut raises = Draft::new("Does smoothing raise the test accuracy over plain training?");
    let mut gap = Draft::new("Does smoothing close the gap between large and small batches?");
    let mut flatter = Draft::new("Are the smoothed solutions flatter than the plain ones?");
    for view in views.iter().filter(|view| !view.held_out()) {
        let measures = || view.study.measures.iter();
        for pair in large_and_small(view) {
            worse.heading(view, &against(pair));
            let trained = Trained::of(difference(TRAIN, pair).as_ref());
            let name_of_top1 = name(TOP1, "test");
            worse.answer(name_of_top1, TOP1, pair, |test| generalises_worse(test, trained));
            let remark = match trained {
                Trained::LessFar => {
                    "lower as well: not trained as far, so not generalisation alone"
                }
                Trained::NotShown => "cannot tell if trained as far",
                Trained::AsFar => "",
            };
            worse.row(name(TRAIN, "test"), TRAIN, pair, remark);
            if !view.study.measures.is_empty() {
                sharper.heading(view, &against(pair));
                sharper.note_how_far(view, pair, trained);
            }
            for measure in measures() {
                let quantity = Quantity::Measured(*measure);
                sharper.answer(measure_name(measure), quantity, pair, |s| verdict(s, Sign::Above));
            }
        }
        for pair @ (smoothed, plain) in smoothed_and_plain(view) {
            raises.heading(view, &against(pair));
            raises.answer(name(TOP1, "test"), TOP1, pair, |s| verdict(s, Sign::Above));
            let small = large_and_small(view).into_iter().find(|(large, _)| large.arm == plain.arm);
            if let Some((_, small)) = small {
                close_gap(&mut gap, view, (smoothed, plain, small));
            }
            if !view.study.measures.is_empty() {
                flatter.heading(view, &against(pair));
            }
            for measure in measures() {
                let quantity = Quantity::Measured(*measure);
                flatter.answer(measure_name(measure), quantity, pair, |s| verdict(s, Sign::Below));
            }
        }
    }
    [worse, sharper, raises, gap, flatter].into_iter().map(Draft::finish).collect()
}

/// The gap that there is, what smoothing gains of it, and what is left.
fn close_gap(
    draft: &mut Draft,
    view: &StudyView<'_>,
    (smoothed, plain, small): (&ArmView<'_>, &ArmView<'_>, &ArmView<'_>),
) {
    draft.heading(view, &format!("{}, of the gap to {}", smoothed.arm.label, small.arm.label));
    let (gap, gained, left) = ((plain, small), (smoothed, plain), (smoothed, small));
    draft.row(format!("the gap: {}", against(gap)), TOP1, gap, "");
    draft.row(format!("gained: {}", against(gained)), TOP1, gained, "");
    draft.answer(format!("left: {}", against(left)), TOP1, left, |left| {
        closed(sign(TOP1, gap), sign(TOP1, gained), left)
    });
}

fn against((a, b): Pair<'_>) -> String {
    format!("{} − {}", a.arm.label, b.arm.label)
}

/// Paired by seed, the first minus the second.
fn difference(quantity: Quantity, (a, b): Pair<'_>) -> Option<PairedDifference> {
    a.sample(quantity).minus(&b.sample(quantity))
}

fn sign(quantity: Quantity, arms: Pair<'_>) -> Sign {
    Sign::of(difference(quantity, arms).as_ref())
}

/// Plain arms of a larger batch, each with the plain arm of the smallest batch that shares its other
/// settings.
fn large_and_small<'v, 'a>(view: &'v StudyView<'a>) -> Vec<(&'v ArmView<'a>, &'v ArmView<'a>)> {
    let plain = || view.arms.iter().filter(|arm| arm.is_plain());
    let smallest = plain().map(ArmView::batch_size).min().unwrap_or_default();
    let partner = |large: &ArmView<'_>| {
        plain().find(|small| {
            small.batch_size() == smallest
                && small.recipe_but_for_the_batch() == large.recipe_but_for_the_batch()
        })
    };
    plain()
        .filter(|arm| arm.batch_size() > smallest)
        .filter_map(|large| Some((large, partner(large)?)))
        .filter(both_there)
        .collect()
}

/// Arms without a common seed have nothing to say yet.
fn both_there((a, b): &(&ArmView<'_>, &ArmView<'_>)) -> bool {
    a.shares_a_seed(b)
}

fn smoothed_and_plain<'v, 'a>(view: &'v StudyView<'a>) -> Vec<(&'v ArmView<'a>, &'v ArmView<'a>)> {
    let smoothed = view.arms.iter().filter(|arm| arm.is_smoothed());
    smoothed.filter_map(|arm| Some((arm, view.plain_of(arm)?))).filter(both_there).collect()
}
