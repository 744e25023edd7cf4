//! The pages agree with the code: every lesson, network, data set and experiment is on its page.

use super::{read, root, sources};
use receptive::data::SETS;
use receptive::models::{MODELS, ModelConfig, Network};
use receptive::nn::ModuleExt;
use receptive::testing::step_cases::{STEP_CASES, StepCase};

/// Every lesson is on the reading page. (That its commands work is `tests/readme`'s to say.)
#[test]
fn reading_page_mentions_every_lesson() {
    let page = read(&root().join("docs/reading.md"));
    for path in sources("examples") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(page.contains(name), "docs/reading.md does not mention the lesson {name}");
    }
}

/// A reader sees at once what the project is. All else has a page in `docs/`.
#[test]
fn readme_stays_short() {
    let bytes = read(&root().join("README.md")).len();
    assert!(bytes <= 15_000, "the README has {bytes} bytes");
}

/// The cells of a page's table whose header begins like this: the header's, the line's below, and the rows'.
fn table(page: &str, header: &str) -> Vec<Vec<String>> {
    let text = read(&root().join(page));
    let lines = text.lines().skip_while(|line| !line.starts_with(header));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = lines.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(rows.len() > 2, "{page} has no table `{header}`");
    rows
}

/// The README shows a part of a table. Its figures are those of the page that has all. (The table of results is made
/// from files; `tests/reproduce` compares it with them.)
#[test]
fn readme_table_of_speed_is_a_part_of_that_in_docs() {
    let (header, page) = ("| model | ms per step |", "docs/speed.md");
    let all = table(page, header);
    for row in &table("README.md", header)[2..] {
        let found = all.iter().any(|other| row.iter().all(|cell| other.contains(cell)));
        assert!(found, "{page} has no row with the cells {row:?}");
    }
}

/// The README lists every network, in order, with its image size and its number of parameters.
#[test]
fn networks_page_lists_the_zoo() {
    let rows = table("docs/networks.md", "| network |");
    let networks = MODELS.iter().map(|&spec| {
        let network = Network::from(spec);
        let config = ModelConfig::new(network.input, network.classes);
        let parameters = network.build(&config).unwrap().num_parameters();
        let [c, h, w] = network.input;
        (format!("`{}`", network.name), format!("{c}x{h}x{w}"), parameters.to_string(), spec.about.to_owned())
    });
    let shown = rows[2..].iter().map(|row| {
        let [name, image, parameters, _flops, about] = &row[..] else { panic!("{row:?}") };
        (name.clone(), image.clone(), parameters.replace(',', ""), about.clone())
    });
    assert_eq!(shown.collect::<Vec<_>>(), networks.collect::<Vec<_>>());
}

/// The step table in tests/peer/networks.py has the same rows as ours: the same networks on the same images.
#[test]
fn peers_have_the_step_table() {
    let peers = read(&root().join("tests/peer/networks.py"));
    for StepCase { name, model, batch_size, input: [c, h, w] } in STEP_CASES {
        let row = peers.lines().find(|line| line.starts_with(&format!("    \"{name}\": (\"{model}\", ")));
        let row = row.unwrap_or_else(|| panic!("tests/peer/networks.py has no row {name} of {model}"));
        assert!(row.ends_with(&format!("({batch_size}, {c}, {h}, {w})),")), "{row}");
    }
    let rows = peers.split_once("CASES = {").map(|(_, rows)| rows.matches("\": (\"").count());
    assert_eq!(rows, Some(STEP_CASES.len()));
}

/// The README explains every data set.
#[test]
fn data_page_lists_the_data_sets() {
    let rows = table("docs/data.md", "| `--data` |");
    for set in SETS {
        let name = format!("`{}`", set.name);
        assert!(rows.iter().any(|row| row[0] == name), "the table of docs/data.md has no {name}");
    }
}
