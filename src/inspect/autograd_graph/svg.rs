//! A graph as a picture: ops from top to bottom, with an op's parameters beside it.

use super::layout::{GraphLayout, beside};
use super::{AutogradGraph, GraphNode, GraphNodeKind};
use crate::draw::color::{BLUE, FAINT, HAIR, INK, Rgb, VERMILION, WHITE};
use crate::draw::font::{fit, width};
use crate::draw::{Anchor, Svg};
use std::ops::Range;

/// Font size of the title.
const TITLE: f64 = 16.0;
/// A title may widen the page up to this width. A longer one is cut.
const WIDE_TITLE: f64 = 320.0;
/// Space between a frame and the boxes in it.
const FRAME: f64 = 8.0;
/// Font size of a name.
pub(in crate::inspect) const NAME: f64 = 13.0;
/// Font size of the lines below a name.
pub(in crate::inspect) const SMALL: f64 = 11.0;
/// Distance between base lines.
const LINE: f64 = 16.0;
/// Space between a box and its text.
const PAD: f64 = 8.0;
/// Space between an op and the leaves beside it.
const ASIDE: f64 = 26.0;
/// Space between two ranks.
const DOWN: f64 = 26.0;
/// Margin around the picture.
const MARGIN: f64 = 24.0;
/// Margin above the picture, with room for the title.
const TOP: f64 = 64.0;
/// The largest width of a text in a box.
const LONGEST: f64 = 260.0;

/// A box with its lines of text.
pub(in crate::inspect) struct Card {
    lines: Vec<(String, f64, Rgb)>,
    size: [f64; 2],
    fill: Rgb,
    frame: Rgb,
}

impl Card {
    /// A box with these lines. A line has a text, a font size and a colour.
    pub fn new(lines: Vec<(String, f64, Rgb)>, color: Rgb) -> Card {
        let fit =
            |(text, size, color): (String, f64, Rgb)| (fit(&text, size, LONGEST).into_owned(), size, color);
        let lines: Vec<(String, f64, Rgb)> = lines.into_iter().map(fit).collect();
        let longest = lines.iter().map(|(text, size, _)| width(text, *size)).fold(0.0, f64::max);
        let height = lines.len() as f64 * LINE + if lines.len() > 1 { PAD } else { 4.0 };
        Card {
            lines,
            size: [(longest + 2.0 * PAD).ceil(), height],
            fill: WHITE.mix(color, 0.07),
            frame: WHITE.mix(color, 0.6),
        }
    }

    fn of(graph: &AutogradGraph, node: usize, op: Option<&GraphNode>) -> Card {
        let GraphNode { kind, name, layer, .. } = &graph.nodes[node];
        let (name, shape) = (name.as_deref().unwrap_or("leaf"), graph.nodes[node].size());
        // A parameter beside the op of its own layer needs no path.
        let layer_of_op = op.and_then(|op| op.layer.as_deref());
        let inside = layer_of_op.and_then(|layer| name.strip_prefix(layer)?.strip_prefix('.'));
        let (lines, color) = match (kind, op) {
            (GraphNodeKind::Leaf, Some(_)) => {
                (vec![(format!("{}  {shape}", inside.unwrap_or(name)), SMALL, INK)], VERMILION)
            }
            (GraphNodeKind::Leaf, None) => {
                (vec![(name.to_owned(), NAME, INK), (shape, SMALL, FAINT)], VERMILION)
            }
            (GraphNodeKind::Op, _) => {
                let layer = layer.iter().map(|layer| (layer.clone(), SMALL, BLUE));
                let lines = [(name.to_owned(), NAME, INK)].into_iter().chain(layer);
                (lines.chain([(shape, SMALL, FAINT)]).collect(), BLUE)
            }
        };
        Card::new(lines, color)
    }

    /// Draws the box with its middle at this point.
    fn draw(&self, svg: &mut Svg, [x, y]: [f64; 2]) {
        let [w, h] = self.size;
        let corner = [x - w / 2.0, y - h / 2.0];
        svg.rect(corner, self.size, self.fill);
        svg.frame(corner, self.size, self.frame);
        let first = y - self.lines.len() as f64 * LINE / 2.0 + LINE * 0.74;
        for (i, (text, size, color)) in self.lines.iter().enumerate() {
            svg.text(text, [x, first + i as f64 * LINE], *size, Anchor::Middle, *color);
        }
    }
}

/// A picture that is being drawn.
pub(in crate::inspect) struct GraphDrawing<'a> {
    graph: &'a AutogradGraph,
    cards: Vec<Card>,
    /// For each op, the leaves beside it.
    leaves: Vec<Vec<usize>>,
    layout: GraphLayout,
    /// The y coordinates of the top and the bottom of each rank.
    rows: Vec<[f64; 2]>,
    /// Offset that is added to the x of every place.
    left: f64,
}

impl AutogradGraph {
    /// The graph as an SVG picture. Values flow down and gradients flow up. An op's parameters stand beside it.
    pub fn to_svg(&self, title: &str) -> String {
        let beside = beside(self);
        let card = |(node, op): (usize, &Option<usize>)| Card::of(self, node, op.map(|op| &self.nodes[op]));
        let cards = beside.iter().enumerate().map(card).collect();
        let note =
            "values flow down, gradients up; blue: recorded ops, orange: leaves, where gradients arrive";
        GraphDrawing::new(self, cards, &beside).into_svg(title, note, &[])
    }
}

/// Nodes that are framed together, with a mark at the frame's right side.
pub(in crate::inspect) struct NodeFrame {
    pub nodes: Range<usize>,
    pub mark: String,
}

impl GraphDrawing<'_> {
    /// `cards` has a box for every node. `beside` says beside which op a node stands, if it has no rank of its own.
    pub fn new<'a>(
        graph: &'a AutogradGraph,
        mut cards: Vec<Card>,
        beside: &[Option<usize>],
    ) -> GraphDrawing<'a> {
        let mut leaves = vec![Vec::new(); cards.len()];
        for (leaf, op) in beside.iter().enumerate() {
            if let Some(op) = *op {
                leaves[op].push(leaf);
            }
        }
        // The size of an op's leaves, which stand one below the other.
        let stack = |leaves: &Vec<usize>| {
            let sizes = leaves.iter().map(|&leaf| cards[leaf].size);
            sizes.fold([0.0; 2], |[w, h], size| [f64::max(w, size[0]), h + size[1] + 6.0])
        };
        let stacks: Vec<[f64; 2]> = leaves.iter().map(stack).collect();
        for (card, stack) in cards.iter_mut().zip(&stacks) {
            // Make the op at least as tall as the leaves beside it, so that their edges are horizontal.
            card.size[1] = card.size[1].max(stack[1]);
        }
        let reach = |node: usize| {
            let half = cards[node].size[0] / 2.0;
            let aside = if leaves[node].is_empty() { 0.0 } else { ASIDE + stacks[node][0] };
            [half, half + aside]
        };
        let layout = GraphLayout::new(graph, beside, reach);
        let mut top = TOP;
        let rows = layout.ranks.iter().map(|row| {
            let heights = row.iter().filter_map(|&p| layout.places[p].node).map(|node| cards[node].size[1]);
            let row = [top, top + heights.fold(0.0, f64::max)];
            top = row[1] + DOWN;
            row
        });
        let rows = rows.collect();
        GraphDrawing { graph, cards, leaves, layout, rows, left: 0.0 }
    }

    /// The picture below a title and a note.
    pub fn into_svg(self, title: &str, note: &str, frames: &[NodeFrame]) -> String {
        let [from, to] = self.layout.extent();
        // A frame and its mark reach further to the right than the boxes. The boxes stay in the middle.
        let mark = |frame: &NodeFrame| FRAME + width(&frame.mark, NAME) + 4.0;
        let aside = frames.iter().map(mark).fold(0.0, f64::max);
        let least = [width(note, SMALL), width(title, TITLE).min(WIDE_TITLE)].into_iter().fold(0.0, f64::max);
        let page = (to - from + 2.0 * aside).max(least) + 2.0 * MARGIN;
        let bottom = self.rows.last().map_or(TOP, |row| row[1]);
        let mut svg = Svg::new(page, bottom + MARGIN);
        svg.text(&fit(title, TITLE, page - 2.0 * MARGIN), [MARGIN, 26.0], TITLE, Anchor::Start, INK);
        svg.text(note, [MARGIN, 46.0], SMALL, Anchor::Start, FAINT);
        let picture = GraphDrawing { left: (page - (to - from)) / 2.0 - from, ..self };
        frames.iter().for_each(|frame| picture.frame(&mut svg, frame));
        picture.edges(&mut svg);
        picture.nodes(&mut svg);
        svg.finish()
    }

    /// Draws a frame around nodes and around the edges that pass beside them on their way to one of them.
    fn frame(&self, svg: &mut Svg, NodeFrame { nodes, mark }: &NodeFrame) {
        let own = |place: &usize| self.layout.places[*place].node.is_some_and(|node| nodes.contains(&node));
        let into =
            self.graph.edges.iter().zip(&self.layout.routes).filter(|(edge, _)| nodes.contains(&edge.to));
        let passed = into.flat_map(|(_, route)| route.iter().copied().skip(1));
        let mut places = (0..self.layout.places.len()).filter(own).chain(passed).peekable();
        if places.peek().is_none() {
            return;
        }
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for place in places {
            let slot = &self.layout.places[place];
            let half = slot.node.map_or(0.0, |node| self.cards[node].size[0] / 2.0);
            let ([x, _], [top, bottom]) = (self.middle(place), self.rows[slot.rank]);
            low = [low[0].min(x - half), low[1].min(top)];
            high = [high[0].max(x + half), high[1].max(bottom)];
        }
        let corner = low.map(|side| side - FRAME);
        svg.frame(
            corner,
            [high[0] - low[0] + 2.0 * FRAME, high[1] - low[1] + 2.0 * FRAME],
            HAIR.mix(INK, 0.3),
        );
        svg.text(mark, [high[0] + FRAME + 4.0, corner[1] + NAME], NAME, Anchor::Start, VERMILION);
    }

    /// The coordinates of the middle of a place.
    fn middle(&self, place: usize) -> [f64; 2] {
        let [top, bottom] = self.rows[self.layout.places[place].rank];
        [self.layout.places[place].x + self.left, (top + bottom) / 2.0]
    }

    fn nodes(&self, svg: &mut Svg) {
        for (place, node) in self.layout.places.iter().enumerate().filter_map(|(i, p)| p.node.map(|n| (i, n)))
        {
            let [x, y] = self.middle(place);
            let [w, h] = self.cards[node].size;
            self.cards[node].draw(svg, [x, y]);
            let step = h / self.leaves[node].len().max(1) as f64;
            for (i, &leaf) in self.leaves[node].iter().enumerate() {
                let (y, from) = (y - h / 2.0 + (i as f64 + 0.5) * step, x + w / 2.0);
                arrow(svg, &[[from + ASIDE, y], [from, y]]);
                self.cards[leaf].draw(svg, [from + ASIDE + self.cards[leaf].size[0] / 2.0, y]);
            }
        }
    }

    fn edges(&self, svg: &mut Svg) {
        for (route, port) in self.layout.routes.iter().zip(self.ports()) {
            let (&[first, .., last], Some(port)) = (&route[..], port) else { continue };
            let half = |place: usize| {
                self.layout.places[place].node.map_or(0.0, |node| self.cards[node].size[1] / 2.0)
            };
            let ([x, y], [_, end]) = (self.middle(first), self.middle(last));
            let mut line = vec![[x, y + half(first)]];
            for &place in &route[1..route.len() - 1] {
                let ([x, _], [top, bottom]) = (self.middle(place), self.rows[self.layout.places[place].rank]);
                line.extend([[x, top], [x, bottom]]);
            }
            line.push([port, end - half(last)]);
            arrow(svg, &line);
        }
    }

    /// The x offset at which each edge arrives at its op, if several arrive side by side. They are ordered by where
    /// they come from.
    fn ports(&self) -> Vec<Option<f64>> {
        let mut ports = vec![None; self.graph.edges.len()];
        for op in 0..self.graph.nodes.len() {
            let arrives = |&e: &usize| self.graph.edges[e].to == op && !self.layout.routes[e].is_empty();
            let mut edges: Vec<usize> = (0..ports.len()).filter(arrives).collect();
            let before = |e: usize| self.middle(self.layout.routes[e][self.layout.routes[e].len() - 2])[0];
            edges.sort_by(|&a, &b| before(a).total_cmp(&before(b)));
            let Some(&first) = edges.first() else { continue };
            let [x, _] = self.middle(self.layout.routes[first][self.layout.routes[first].len() - 1]);
            let step = (self.cards[op].size[0] / (2 * edges.len()) as f64).min(22.0);
            // An edge that comes straight from above stays straight, and the others make room.
            let straight = edges.iter().position(|&e| (before(e) - x).abs() < 1.0);
            let middle = straight.map_or((edges.len() - 1) as f64 / 2.0, |i| i as f64);
            edges.iter().enumerate().for_each(|(i, &e)| ports[e] = Some(x + (i as f64 - middle) * step));
        }
        ports
    }
}

/// A line with an arrow head at its end.
fn arrow(svg: &mut Svg, line: &[[f64; 2]]) {
    let &[.., from, to] = line else { return };
    svg.line(line, FAINT, 1.0);
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let length = dx.hypot(dy).max(1.0);
    let [dx, dy] = [dx / length, dy / length];
    let wing = |side: f64| [to[0] - 6.0 * dx - side * dy, to[1] - 6.0 * dy + side * dx];
    svg.line(&[wing(3.0), to, wing(-3.0)], FAINT, 1.0);
}
