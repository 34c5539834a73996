//! The tables of one study.

use std::collections::BTreeSet;

use super::arms::{ArmView, StudyView};
use super::quantity::{
    DifferenceText, TRAINING, difference, mean, measure_name, name, plain_number, published,
};
use super::table::{Row, Table};
use super::verdict::Sign;
use crate::measure::{BatchNormPolicy, Select};
use crate::reproduce::measure::{Measure, Metric};
use crate::reproduce::statistics::PairedDifference;
use crate::reproduce::study::{Published, Quantity};

/// What stands wherever a number of the paper's own tables would.
pub(super) const PAPER_BLANK: &str = "The accuracy tables of the paper itself (Wen et al., \
    arXiv:1805.07898) could not be read: its own numbers are left blank, none is guessed.";

/// What the network was evaluated on after each epoch.
pub(super) fn split_name(view: &StudyView<'_>) -> &'static str {
    if view.held_out() { "held-out" } else { "test" }
}

/// All tables of a study, in their order.
pub(super) fn of_study(view: &StudyView<'_>) -> Vec<Table> {
    let tables = [
        Some(training(view)),
        sweep(view),
        sharpness(view),
        comparisons(view),
        beside_published(view),
    ];
    tables.into_iter().flatten().collect()
}

fn runs(arm: &ArmView<'_>) -> String {
    format!("{} of {}", arm.runs.len(), arm.wanted)
}

/// A row an arm: its name, its runs, a cell a quantity.
fn arm_rows(table: &mut Table, view: &StudyView<'_>, quantities: &[Quantity]) {
    for arm in &view.arms {
        let cell = |&q: &Quantity| mean(q, arm.sample(q).summary(), arm.runs.len());
        let names = [arm.arm.label.clone(), runs(arm)];
        table.row(names.into_iter().chain(quantities.iter().map(cell)));
    }
    if view.arms.iter().any(|arm| arm.runs.len() == 1) {
        table.notes.push(
            "Where there is one run there is no standard deviation: the number alone stands there."
                .to_owned(),
        );
    }
}

fn training(view: &StudyView<'_>) -> Table {
    let split = split_name(view);
    let names: Vec<String> = TRAINING.iter().map(|q| name(*q, split)).collect();
    let columns = ["arm", "runs"].into_iter().chain(names.iter().map(String::as_str));
    let mut table = Table::new("Accuracy and loss: mean ± s.d. over seeds", columns);
    table.notes.push(
        "The best epoch is chosen on the examples that it is reported on, and is therefore too \
         good: it stands here because the authors report it. Train top-1 is counted during the \
         epoch, at the weights of each update, which smoothing perturbs."
            .to_owned(),
    );
    arm_rows(&mut table, view, &TRAINING);
    table
}

fn sharpness(view: &StudyView<'_>) -> Option<Table> {
    let measures = &view.study.measures;
    if measures.is_empty() {
        return None;
    }
    let names: Vec<String> = measures.iter().map(measure_name).collect();
    let columns = ["arm", "runs"].into_iter().chain(names.iter().map(String::as_str));
    let mut table =
        Table::new("Sharpness of the last epoch's network: mean ± s.d. over seeds", columns);
    let quantities: Vec<Quantity> = measures.iter().copied().map(Quantity::Measured).collect();
    arm_rows(&mut table, view, &quantities);
    let counts: BTreeSet<usize> = measures.iter().map(|measure| measure.examples).collect();
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    let frozen = measures.iter().all(|measure| measure.batch_norm == BatchNormPolicy::Frozen);
    let but = if frozen { "" } else { " unless its name says otherwise" };
    let counts = counts.join(" or ");
    table.notes.push(format!("Measured on {counts} training examples, batch norm frozen{but}."));
    if measures.iter().any(|measure| measure.select == Select::All) {
        table.notes.push(
            "All parameters are moved unless a name says otherwise, gamma and beta of batch norms \
             too, which smoothing leaves alone in training unless told to move them."
                .to_owned(),
        );
    }
    if measures.iter().any(|measure| matches!(measure.metric, Metric::Keskar { .. })) {
        table.notes.push(
            "Keskar sharpness is the largest rise of the loss that his ten iterations of L-BFGS-B \
             find in the box: a lower bound of the largest one."
                .to_owned(),
        );
    }
    let (invariant, blind): (Vec<&Measure>, Vec<&Measure>) =
        measures.iter().partition(|measure| measure.metric.is_invariant());
    if !blind.is_empty() {
        let say = match invariant.is_empty() {
            true => {
                "Every measure here changes when a network is rescaled without changing its \
                     function: none compares networks of different scale."
            }
            false => {
                "When whole layers are rescaled without changing the function, the filter-wise, \
                      elementwise and layer-wise measures stay the same; when single neurons are, \
                      only the elementwise ones. Absolute boxes, Keskar sharpness and the largest \
                      eigenvalue change with either."
            }
        };
        table.notes.push(say.to_owned());
    }
    Some(table)
}

/// The columns of a table of differences.
pub(super) const DIFFERENCE_COLUMNS: [&str; 6] =
    ["quantity", "answer", "mean difference", "95 % interval", "p", "pairs"];

/// A row of a table of differences.
pub(super) fn difference_cells(
    name: String,
    answer: &str,
    quantity: Quantity,
    found: Option<&PairedDifference>,
) -> [String; 6] {
    let dash = || "–".to_owned();
    let none =
        || DifferenceText { mean: dash(), interval: "none: no pair of runs".into(), p: dash() };
    let DifferenceText { mean, interval, p } =
        found.map_or_else(none, |found| difference(quantity, found));
    [name, answer.to_owned(), mean, interval, p, found.map_or(0, |found| found.n).to_string()]
}

fn comparisons(view: &StudyView<'_>) -> Option<Table> {
    if view.study.comparisons.is_empty() {
        return None;
    }
    let mut table = Table::new("Differences, paired by seed", DIFFERENCE_COLUMNS);
    let split = split_name(view);
    let measured = view.study.measures.iter().copied().map(Quantity::Measured);
    let quantities: Vec<Quantity> = TRAINING.into_iter().chain(measured).collect();
    for comparison in &view.study.comparisons {
        let (first, second) = (view.label(&comparison.arm), view.label(&comparison.baseline));
        table.rows.push(Row::Heading(format!("{first} − {second}")));
        let pair = view.arm(&comparison.arm).zip(view.arm(&comparison.baseline));
        let Some((a, b)) = pair.filter(|(a, b)| a.shares_a_seed(b)) else {
            table.row(difference_cells("all".to_owned(), "no pair of runs yet", TRAINING[0], None));
            continue;
        };
        for &quantity in &quantities {
            let found = a.sample(quantity).minus(&b.sample(quantity));
            let reading = match Sign::of(found.as_ref()) {
                Sign::Above => "the first is higher",
                Sign::Below => "the first is lower",
                Sign::Includes0 => "cannot tell: the interval includes 0",
                Sign::NoInterval => "cannot tell: there is no interval",
            };
            table.row(difference_cells(name(quantity, split), reading, quantity, found.as_ref()));
        }
    }
    table.notes.push(
        "Pairs share initial weights and the order of the data. Intervals are Student's, each at \
         95 % by itself and not corrected for their number: of twenty true zeros one is expected \
         to be missed. A p value is given from five pairs on."
            .to_owned(),
    );
    Some(table)
}

fn beside_published(view: &StudyView<'_>) -> Option<Table> {
    if view.study.published.is_empty() {
        return None;
    }
    let columns = [
        "arm",
        "quantity",
        "ours",
        "published",
        "the paper (Wen et al.)",
        "published in, and what differs",
    ];
    let mut table = Table::new("Beside published numbers", columns);
    let measured = |quantity: Quantity| match quantity {
        Quantity::Measured(measure) => view.study.measures.contains(&measure),
        _ => true,
    };
    for entry in view.study.published.iter().filter(|entry| measured(entry.quantity)) {
        let arm = view.arm(&entry.arm);
        let summary = arm.and_then(|arm| arm.sample(entry.quantity).summary());
        table.row([
            view.label(&entry.arm).to_owned(),
            name(entry.quantity, split_name(view)),
            mean(entry.quantity, summary, arm.map_or(0, |arm| arm.wanted)),
            published(entry.mean, entry.deviation),
            String::new(),
            entry.source.clone(),
        ]);
    }
    let keskar = |entry: &Published| match entry.quantity {
        Quantity::Measured(measure) => matches!(measure.metric, Metric::Keskar { .. }),
        _ => false,
    };
    if view.study.published.iter().any(keskar) {
        table.notes.push(KESKAR_DIFFERS.to_owned());
    }
    table.notes.push(PAPER_BLANK.to_owned());
    Some(table)
}

/// What differs from Keskar et al. in every study.
const KESKAR_DIFFERS: &str = "Sharpness of Keskar et al. is the mean ± s.d. over starts of the search; \
    ours is the largest over the starts, ± s.d. over seeds, with batch norm as its name says, and the \
    elements of a random subspace's matrix are N(0, 1/p), which their paper leaves open. In the code that they \
    published, of C1 to C4, batch norms use the statistics of each batch, in tests too, images are scaled \
    to [0, 1], and C1 and C3 have biases and each norm before its pool. What batch norm does can change \
    the number manyfold: which arm is sharper can be compared, the numbers cannot.";

/// The radius with the best mean of each sweep on held-out examples.
fn sweep(view: &StudyView<'_>) -> Option<Table> {
    let sweeps = view.sweeps();
    if sweeps.is_empty() {
        return None;
    }
    let split = split_name(view);
    let top1 = format!("{split} top-1 % there, last epoch");
    let columns = ["sweep", "radii tried", "best radius", top1.as_str(), "plain"];
    let mut table = Table::new("Radius with the best mean accuracy", columns);
    let quantity = Quantity::LastTop1;
    let mut lacking = Vec::new();
    for sweep in &sweeps {
        // Radii are compared over the same seeds: one that lacks a bad seed would win by it.
        let seeds = sweep.common_seeds(quantity);
        let sample = |arm: &ArmView<'_>| arm.sample(quantity).among(&seeds);
        let cell = |arm: &ArmView<'_>| mean(quantity, sample(arm).summary(), arm.wanted);
        let score = |arm: &ArmView<'_>| sample(arm).summary().map(|s| s.mean);
        let tried = sweep.arms.iter().filter(|arm| score(arm).is_some());
        // Of equal means the smallest radius.
        let best = tried
            .rev()
            .max_by(|a, b| score(a).unwrap_or(f64::MIN).total_cmp(&score(b).unwrap_or(f64::MIN)));
        let radii: Vec<String> = sweep.arms.iter().map(|arm| plain_number(arm.radius())).collect();
        let at_an_end = |arm: &ArmView<'_>| {
            let radius = |arm: Option<&&ArmView<'_>>| arm.map(|arm| arm.radius());
            let ends = [radius(sweep.arms.first()), radius(sweep.arms.last())];
            ends.contains(&Some(arm.radius()))
        };
        let above_plain = |arm: &ArmView<'_>| {
            let above = sweep.plain.and_then(|plain| sample(arm).minus(&sample(plain)));
            above.is_none_or(|above| above.mean > 0.0)
        };
        let radius = best.map_or("–".to_owned(), |arm| {
            let remarks = [
                at_an_end(arm).then_some("at an end of the sweep"),
                (!above_plain(arm)).then_some("none is better than plain"),
            ];
            let remarks: Vec<&str> = remarks.into_iter().flatten().collect();
            match remarks.is_empty() {
                true => plain_number(arm.radius()),
                false => format!("{} ({})", plain_number(arm.radius()), remarks.join("; ")),
            }
        });
        table.row([
            sweep.name(),
            radii.join(", "),
            radius,
            best.map_or("–".to_owned(), |arm| cell(arm)),
            sweep.plain.map_or("–".to_owned(), cell),
        ]);
        for arm in sweep.arms.iter().copied().chain(sweep.plain) {
            let (there, wanted) = (arm.sample(quantity).values.len(), arm.wanted);
            let lack = format!("{} ({there} of {wanted})", arm.arm.label);
            // Sweeps may share their plain arm.
            if there < wanted && !lacking.contains(&lack) {
                lacking.push(lack);
            }
        }
    }
    if !lacking.is_empty() {
        table.notes.push(format!(
            "Seeds are lacking, not finished or diverged, of {}. The radii of a sweep are compared \
             over the seeds that all radii with a result have in common.",
            lacking.join(", ")
        ));
    }
    table.notes.push(match view.held_out() {
        true => "Evaluated on examples held out of the training set; the test set played no part. \
                 The largest of several means is too good: what the radius is worth is said by \
                 runs that it was not chosen from."
            .to_owned(),
        false => "Evaluated on the test set: the largest of several means is too good, and a \
                  radius must not be chosen from it."
            .to_owned(),
    });
    Some(table)
}

/// What is missing: runs, values, arms that the study does not have.
pub(super) fn gaps(view: &StudyView<'_>) -> Vec<String> {
    let mut gaps = Vec::new();
    for arm in &view.arms {
        let missing: Vec<String> = arm.missing_seeds().iter().map(u64::to_string).collect();
        if !missing.is_empty() {
            gaps.push(format!(
                "{}: {} of {} seeds; not finished or diverged: {}.",
                arm.arm.label,
                arm.runs.len(),
                arm.wanted,
                missing.join(", ")
            ));
        }
        for run in &arm.runs {
            let failed = run.measured.iter().filter(|m| m.value.is_none_or(|v| !v.is_finite()));
            gaps.extend(failed.map(|m| {
                let why = m.failure.as_deref().unwrap_or("its value is not finite");
                let (arm, seed) = (&arm.arm.label, run.seed());
                format!("{arm}, seed {seed}: no {}: {why}.", measure_name(&m.measure))
            }));
        }
        for quantity in TRAINING {
            let lost = arm.sample(quantity).lost;
            if lost > 0 {
                let name = name(quantity, split_name(view));
                let (arm, runs) = (&arm.arm.label, arm.runs.len());
                gaps.push(format!("{arm}: no finite {name} in {lost} of {runs} runs."));
            }
        }
    }
    for picture in &view.study.pictures {
        if !view.pictures.iter().any(|found| found.picture.name == picture.name) {
            gaps.push(format!("The picture \"{}\" is not evaluated.", picture.title));
        }
    }
    gaps.extend(view.strangers.iter().map(|run| {
        format!(
            "A run of {}, seed {}, is left out: the study has no such arm.",
            run.arm,
            run.seed()
        )
    }));
    gaps
}
