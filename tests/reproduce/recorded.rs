//! The project's own results: the notebooks' curves beside ours, PyTorch's figures beside ours, and the documents.

use super::options;
use receptive::reproduce::{
    CurveMeasure, Curves, EXPERIMENTS, PrintedCurve, RecordedResults, SeedResult, curve_gaps,
    draw_experiment, find, printed,
};
use std::collections::BTreeSet;
use std::path::Path;

/// The notebooks' printed curves belong to rows of the table, and end near the published figures.
#[test]
fn the_printed_curves_are_those_of_the_table() {
    let curves: Vec<PrintedCurve> = EXPERIMENTS.iter().flat_map(|row| printed(row.id)).collect();
    assert_eq!(curves.len(), include_str!("../../src/reproduce/printed.tsv").lines().count() - 1);
    for row in EXPERIMENTS {
        let of_row = curves.iter().filter(|c| c.id == row.id && c.measure == CurveMeasure::ValAccuracy);
        let best = of_row.flat_map(|c| &c.values).map(|(_, value)| *value).fold(0.0, f64::max);
        let published = row.figures.iter().flat_map(|figure| figure.published).copied().fold(0.0, f64::max);
        // Not every epoch was printed, so the best one may be missing.
        assert!(
            best <= published && (best == 0.0 || published - best < 2.5),
            "{}: {best} {published}",
            row.id
        );
    }
    let m3: BTreeSet<usize> = printed("M3").iter().map(|curve| curve.run).collect();
    assert_eq!((m3.len(), printed("C8").len(), printed("M11").len()), (2, 0, 1));
}

/// A gap is the distance of our mean from the interval of the notebooks' values, where it is largest.
#[test]
fn a_gap_is_the_distance_to_the_notebooks() {
    let row = find("M7").unwrap();
    // Epoch 1: 0.7807 and 0.8882; epoch 3: 0.0875 and 0.0865; epoch 5: 0.0592 and 0.0578.
    let seed = |train_loss: [f64; 5]| SeedResult {
        id: "M7".to_owned(),
        curves: vec![Curves { train_loss: train_loss.to_vec(), ..Curves::default() }],
        ..SeedResult::default()
    };
    let results = [seed([0.8, 0.2, 0.1, 0.07, 0.06]), seed([0.9, 0.2, 0.09, 0.07, 0.058])];
    let gaps = curve_gaps(row, &results);
    assert_eq!(gaps.len(), 1, "only the train loss was measured");
    let gap = &gaps[0];
    assert_eq!((gap.measure, gap.at, gap.lowest, gap.highest), (CurveMeasure::TrainLoss, 3, 0.0865, 0.0875));
    assert!((gap.gap - 0.0075).abs() < 1e-12 && (gap.ours - 0.095).abs() < 1e-12, "{gap:?}");
    assert_eq!(gap.describe(), "train loss: 0.0075 at epoch 3 (ours 0.0950, notebooks 0.0865 to 0.0875)");
    let svg = draw_experiment(row, &results).unwrap();
    assert!(svg.contains("rings are the notebook") && draw_experiment(row, &[]).is_none());
}

/// A result is one line per field, and reads back as it was. Results from before there were curves can be read.
#[test]
fn a_result_is_small_and_reads_back() {
    let curves = vec![Curves { val_loss: vec![0.5; 100], ..Curves::default() }];
    let result = SeedResult { id: "M7".into(), figures: vec![98.5], curves, ..SeedResult::default() };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("result.json");
    std::fs::write(&file, result.json()).unwrap();
    assert!(result.json().lines().count() < 25, "{}", result.json());
    let read = SeedResult::read(&file).unwrap().unwrap();
    assert_eq!(SeedResult { folder: Default::default(), ..read }, result);
    std::fs::write(&file, r#"{"id": "M1", "seed": 2, "figures": [89.9], "seconds": 1.5, "epochs": 4}"#)
        .unwrap();
    let old = SeedResult::read(&file).unwrap().unwrap();
    assert_eq!((old.seed, old.epochs, old.curves.len()), (2, 4, 0));
}

/// PyTorch's results and ours with the same settings are one row. If PyTorch was run for fewer epochs, our figure is
/// that of the same first epochs.
#[test]
fn recorded_results_are_compared_with_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, result: &SeedResult| {
        std::fs::write(folder.path().join(name), result.json()).unwrap();
    };
    let ours = |seed: u64, best: f64| SeedResult {
        id: "C1".into(),
        seed,
        epochs: 25,
        figures: vec![best],
        curves: vec![Curves { val_accuracy: vec![10.0, 12.0, 11.0, 10.5, 10.0, best], ..Curves::default() }],
        ..SeedResult::default()
    };
    write("C1-seed0.json", &ours(0, 24.0));
    write("C1-seed1.json", &ours(1, 28.0));
    let torch = SeedResult { torch: Some("2.9".into()), epochs: 5, ..ours(0, 13.0) };
    write("C1-seed0-epochs5-torch.json", &torch);
    let quiet = r#"{"id": "C1", "receptive": [3.0, 2.0, 2.5], "torch": [5.0]}"#;
    std::fs::write(folder.path().join("C1-quiet.json"), quiet).unwrap();
    let recorded = RecordedResults::read(folder.path()).unwrap();
    let rows = recorded.rows(find("C1").unwrap()).unwrap();
    let [whole, first] = &rows[..] else { panic!("{rows:?}") };
    let [mean, part] = [&whole.ours, &first.ours].map(|ours| ours.unwrap());
    assert_eq!((mean.mean, mean.lowest, mean.highest, mean.n, whole.torch), (26.0, 24.0, 28.0, 2, None));
    assert_eq!((part.mean, part.n, first.settings.as_str()), (12.0, 2, "5 of 25 epochs"));
    // One PyTorch seed has no range: 12 is not 13.
    assert_eq!((first.inside, first.torch.unwrap().n), (Some(false), 1));
    assert_eq!((whole.times_faster, whole.whole_seconds), (Some(2.0), Some(62.5)));
    let markdown = recorded.markdown().unwrap();
    assert!(markdown.contains("26.00 (24.00 to 28.00), n = 2") && markdown.contains("| 2.0 |"), "{markdown}");
    let missing = markdown.lines().filter(|line| line.contains("not measured yet")).count();
    assert!(missing >= EXPERIMENTS.len() - 1, "{markdown}");
    assert_eq!(recorded.short_markdown().unwrap().lines().count(), 3);
}

const DOCUMENTS: [(&str, &str); 3] =
    [("docs/results.md", "results"), ("docs/results.md", "gaps"), ("README.md", "results")];

/// The tables and pictures of the documents are made from the files of docs/results.
/// With RECEPTIVE_UPDATE_TABLES=1 this test writes them (tools/results.sh tables).
#[test]
fn documents_show_the_recorded_results() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let update = std::env::var_os("RECEPTIVE_UPDATE_TABLES").is_some();
    let recorded = RecordedResults::read(&root.join("docs/results")).unwrap();
    let compare = |file: &Path, expected: &str| {
        if update {
            std::fs::write(file, expected).unwrap();
        }
        let found = std::fs::read_to_string(file).unwrap_or_default();
        assert!(found == expected, "{} is not that of docs/results: tools/results.sh tables", file.display());
    };
    for (file, table) in DOCUMENTS {
        let file = root.join(file);
        let text = std::fs::read_to_string(&file).unwrap();
        let [begin, end] = ["begin", "end"].map(|part| format!("<!-- {table}:{part} -->\n"));
        let (before, rest) = text.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(&end).unwrap();
        let table = match (table, file.ends_with("README.md")) {
            ("gaps", _) => recorded.gaps_markdown(),
            (_, true) => recorded.short_markdown(),
            _ => recorded.markdown(),
        };
        compare(&file, &(before.to_owned() + &begin + &table.unwrap() + &end + after));
    }
    for row in EXPERIMENTS.iter().filter(|row| !printed(row.id).is_empty()) {
        if let Some(svg) = draw_experiment(row, &recorded.ours(row).unwrap()) {
            compare(&root.join(format!("docs/results/{}.svg", row.id)), &svg);
        }
    }
}

/// A short run never takes more than the whole experiment, and its folder is another one.
#[test]
fn short_runs_are_parts_of_experiments() {
    let whole = options(Path::new("out"), Path::new("data"));
    let mut shortened = 0;
    for row in EXPERIMENTS {
        let quick = whole.quick(row);
        let [long, short] = [&whole, &quick].map(|options| options.runs(row, 0).unwrap()[0].1.clone());
        assert!(short.epochs <= long.epochs && short.fraction.is_none_or(|part| part < 1.0), "{}", row.id);
        let folders = [&whole, &quick].map(|options| options.folder(row, 0));
        assert_eq!(folders[0] == folders[1], quick == whole, "{}", row.id);
        shortened += usize::from(quick != whole);
    }
    assert_eq!(shortened, EXPERIMENTS.len() - 3, "all but those that take seconds");
}

/// The plan names rows of the table, and no line twice.
#[test]
fn the_plan_of_results_is_sound() {
    let plan = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/results/plan.tsv"));
    let plan = plan.unwrap();
    let lines: Vec<Vec<&str>> = plan.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let mut seen = BTreeSet::new();
    for line in &lines {
        let (kind, id, seed, minutes) = (line[0], line[1], line[2], line[3]);
        assert!(["receptive", "torch"].contains(&kind) && find(id).is_ok_and(|row| row.id == id), "{line:?}");
        assert!(seed.parse::<u64>().is_ok() && minutes.parse::<u64>().is_ok_and(|m| m > 0), "{line:?}");
        assert!(seen.insert((kind, id, seed, line.get(4))), "{line:?} is there twice");
    }
    let ours: BTreeSet<&str> =
        lines.iter().filter(|line| line[0] == "receptive").map(|line| line[1]).collect();
    assert_eq!(ours.len(), EXPERIMENTS.len(), "every row is planned");
}
