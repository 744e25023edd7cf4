//! The table of kernels as a page. A row opens to show what each limit would take, and the source with the counts beside
//! its lines. The page has no scripts and loads nothing.

use super::{KernelRow, KernelTable};
use crate::cuda::{Counters, Traffic, kernels::SOURCES};
use crate::draw::page::BASE_CSS;
use std::collections::BTreeMap;

/// Lines of source that are shown before and after a counted one.
const AROUND: usize = 2;

impl KernelTable {
    /// The page. `title` says which network and settings it is about.
    ///
    /// ```
    /// use receptive::cuda::Recording;
    /// use receptive::inspect::gpu_time::{CARDS, KernelTable};
    /// let table = KernelTable::new(&CARDS[0], &Recording::default());
    /// assert!(table.to_html("nothing").contains("<h1>nothing</h1>"));
    /// ```
    pub fn to_html(&self, title: &str) -> String {
        let title = escaped(title);
        let fact = |value: String, name: &str| format!("<div><dt>{name}</dt><dd>{value}</dd></div>");
        let ms = |seconds: f64| format!("{:.3} ms", 1e3 * seconds);
        let facts = [
            fact(ms(self.seconds), "a step, predicted"),
            fact(self.nodes.to_string(), "launches, copies and fills"),
            fact(ms(self.gap_seconds), "between them"),
            fact(ms(self.copy_seconds), "copies and fills"),
        ]
        .concat();
        let head: String = COLUMNS.iter().map(|name| format!("<span>{name}</span>")).collect();
        let rows: String = self.rows.iter().map(|row| self.row(row)).collect();
        let unknown = match self.unknown.as_slice() {
            [] => String::new(),
            names => format!("<p class=\"note\">Not counted: {}</p>", escaped(&names.join(", "))),
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>\n{BASE_CSS}{}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
             <p class=\"lead\">What limits each GPU kernel of a training step. Times are predicted for the {} from counts \
             of the simulated GPU and from the assembler's instructions; they are not measured.</p>\n\
             <dl class=\"facts\">{facts}</dl>\n{LEGEND}\n<div class=\"kernels\">\n\
             <div class=\"row head\">{head}</div>\n{rows}</div>\n{unknown}</main>\n</body>\n</html>\n",
            include_str!("page.css"),
            self.card.title,
        )
    }

    fn row(&self, row: &KernelRow) -> String {
        let share = row.seconds / self.seconds;
        let cells = [
            format!("{}\u{a0}x\u{a0}{}", row.launches, micro(row.seconds / row.launches as f64)),
            format!("{:.1} %", 100.0 * share),
            row.bottleneck.name().to_owned(),
            format!("{:.0} %", 100.0 * row.of_peak),
            ratio(row.load_sectors),
            ratio(row.store_sectors),
            if row.conflicts > 0.0 { marked(row.conflicts, 1.0, 2) } else { "-".to_owned() },
            format!("{:.0} %", 100.0 * row.occupancy),
        ];
        let cells: String = cells
            .iter()
            .zip(&COLUMNS[1..])
            .map(|(cell, label)| format!("<span><span class=\"label\">{label}</span>{cell}</span>"))
            .collect();
        format!(
            "<details>\n<summary class=\"row\"><code class=\"name\">{}</code>{cells}\
             <span class=\"share\" style=\"width:{:.2}%\"></span></summary>\n<div class=\"inside\">\n{}{}</div>\n</details>\n",
            escaped(&row.kernel),
            100.0 * share,
            limits(row),
            sources(&row.lines),
        )
    }
}

const COLUMNS: [&str; 9] =
    ["kernel", "launches", "share", "limit", "peak", "load", "store", "conflicts", "occupancy"];

const LEGEND: &str = "<p class=\"lead\">peak: the part of the time that the arithmetic units or the memory alone would \
take. load, store: sectors of 32 bytes that a warp's request needs, and the fewest that \
could carry its bytes. conflicts: turns of the banks of shared memory for each turn that it would take without bank \
conflicts. occupancy: warps on a multiprocessor, as a part of those that it could hold. Open a row to see its source.</p>";

fn micro(seconds: f64) -> String {
    format!("{:.1}\u{a0}us", 1e6 * seconds)
}

/// A number, marked if it is far above its ideal.
fn marked(value: f64, ideal: f64, digits: usize) -> String {
    let class = if value > 1.25 * ideal { " class=\"bad\"" } else { "" };
    format!("<span{class}>{value:.digits$}</span>")
}

fn ratio([units, ideal]: [f64; 2]) -> String {
    match units > 0.0 {
        true => format!("{} of {ideal:.1}", marked(units, ideal, 1)),
        false => "-".to_owned(),
    }
}

/// What each limit alone would take.
fn limits(row: &KernelRow) -> String {
    let most = row.limits.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let bars: String = row
        .limits
        .iter()
        .filter(|(_, seconds)| *seconds > 0.0)
        .map(|(limit, seconds)| {
            let class = if *seconds == most { "bar most" } else { "bar" };
            let width = 100.0 * seconds / most;
            format!(
                "<span>{}</span><span class=\"{class}\" style=\"width:{width:.1}%\"></span><span>{}</span>",
                limit.name(),
                micro(*seconds)
            )
        })
        .collect();
    let spills = match row.spilled > 0.0 {
        true => format!(", <span class=\"bad\">{:.0} bytes spilled</span>", row.spilled),
        false => String::new(),
    };
    format!(
        "<div class=\"limits\">{bars}</div>\n<p class=\"note\">{:.0} registers per thread{spills}, {:.1} MB read and \
         written in {} launches.</p>\n",
        row.registers,
        row.bytes / 1e6,
        row.launches,
    )
}

/// The files with counted lines, each as an extract.
fn sources(lines: &BTreeMap<String, Counters>) -> String {
    let mut files = BTreeMap::<&str, BTreeMap<usize, &Counters>>::new();
    for (place, counters) in lines {
        let Some((file, line)) = place.rsplit_once(':') else { continue };
        let Ok(line) = line.parse() else { continue };
        if shows(counters) {
            files.entry(file).or_default().insert(line, counters);
        }
    }
    files.iter().map(|(file, counted)| extract(file, counted)).collect()
}

fn shows(counters: &Counters) -> bool {
    [global_load(counters), counters.global_store, shared(counters)].iter().any(|t| t.requests > 0.0)
        || counters.divergent > 0.0
        || !counters.operations.is_empty()
}

fn global_load(counters: &Counters) -> Traffic {
    counters.global_load + counters.async_load + counters.global_atomic
}

fn shared(counters: &Counters) -> Traffic {
    counters.shared_load
        + counters.shared_store
        + counters.shared_atomic
        + counters.async_store
        + counters.ldmatrix
}

fn extract(file: &str, counted: &BTreeMap<usize, &Counters>) -> String {
    let Some((_, text)) = SOURCES.iter().find(|(name, _)| *name == file) else { return String::new() };
    let near = |line: usize| counted.range(line.saturating_sub(AROUND)..=line + AROUND).next().is_some();
    let mut rows = String::new();
    let mut gap = false;
    for (line, code) in (1..).zip(text.lines()) {
        if !near(line) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) && !rows.is_empty() {
            rows.push_str("<tr><td colspan=\"6\">&#8943;</td></tr>\n");
        }
        let cells =
            counted.get(&line).map_or_else(|| [const { String::new() }; 4], |counters| cells(counters));
        let class = if counted.contains_key(&line) { " class=\"counted\"" } else { "" };
        let cells = cells.map(|cell| format!("<td class=\"number\">{cell}</td>")).concat();
        rows.push_str(&format!(
            "<tr{class}>{cells}<td class=\"number\">{line}</td><td>{}</td></tr>\n",
            escaped(code)
        ));
    }
    format!(
        "<div class=\"scroll\"><table class=\"source\"><caption class=\"note\">{file}</caption><thead><tr>\
         <th class=\"number\">load</th><th class=\"number\">store</th><th class=\"number\">shared</th>\
         <th class=\"number\">parted</th><th></th><th></th></tr></thead><tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// Of a line: sectors per request of loads and stores, wavefronts per request of shared memory, and how often the lanes of
/// a warp part.
fn cells(counters: &Counters) -> [String; 4] {
    let per = |t: Traffic| match t.requests > 0.0 {
        true => ratio([t.units / t.requests, t.ideal / t.requests]),
        false => String::new(),
    };
    let parted = match counters.divergent > 0.0 {
        true => format!("{:.0} %", 100.0 * counters.divergent / counters.branches.max(1.0)),
        false => String::new(),
    };
    [per(global_load(counters)), per(counters.global_store), per(shared(counters)), parted]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
