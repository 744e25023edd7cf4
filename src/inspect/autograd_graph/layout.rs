//! Places the nodes of a graph in rows from the first op to the last, with as few crossings and bends as a cheap method
//! finds (Sugiyama, Tagawa, Toda 1981).
//!
//! 1. A node's rank is one below the lowest of the nodes it depends on. A parameter has no rank: it stands beside its
//!    op.
//! 2. An edge over several ranks gets a place in each rank between, so that it passes the nodes there.
//! 3. Each rank is ordered by the positions of its neighbours above, then by those below, several times. The order with
//!    the fewest crossings is kept.
//! 4. A chain of places without branches becomes a column, which is straight. Columns that would cross are cut
//!    (Brandes, Koepf 2001). Each column moves to the mean of the columns it is joined to, as far as its neighbours
//!    allow. An edge that only passes by is ignored in this mean.

use super::{AutogradGraph, GraphEdge, GraphNodeKind};
use std::collections::BTreeMap;

/// Space between neighbours in a rank.
const GAP: f64 = 28.0;
/// Number of rounds of ordering, and of moving.
const ROUNDS: usize = 24;

/// How far a ranked node, together with the leaves beside it, extends to the left and to the right of its middle.
pub(super) type NodeExtent = [f64; 2];

/// A place in a rank. It belongs to a node, or an edge passes through it.
#[derive(Debug)]
pub(super) struct RankSlot {
    pub node: Option<usize>,
    pub rank: usize,
    /// The x coordinate of the middle.
    pub x: f64,
    reach: NodeExtent,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// The places of ranked nodes and edges.
#[derive(Debug)]
pub(super) struct GraphLayout {
    pub places: Vec<RankSlot>,
    /// Places by rank, from left to right.
    pub ranks: Vec<Vec<usize>>,
    /// For each edge of the graph, the places from its node to its op. Empty if the node stands beside the op.
    pub routes: Vec<Vec<usize>>,
}

/// For each node, the op that it stands beside. Only a leaf that is used by one op, and not as its first input, stands
/// beside it. The first input comes from above.
pub(super) fn beside(graph: &AutogradGraph) -> Vec<Option<usize>> {
    let mut users: Vec<Vec<&GraphEdge>> = vec![Vec::new(); graph.nodes.len()];
    graph.edges.iter().for_each(|edge| users[edge.from].push(edge));
    let owner = |(node, users): (usize, &Vec<&GraphEdge>)| match users[..] {
        [edge] if graph.nodes[node].kind == GraphNodeKind::Leaf && edge.input > 0 => Some(edge.to),
        _ => None,
    };
    users.iter().enumerate().map(owner).collect()
}

impl GraphLayout {
    /// Computes the layout. `reach` is called for every ranked node.
    pub fn new(
        graph: &AutogradGraph,
        beside: &[Option<usize>],
        reach: impl Fn(usize) -> NodeExtent,
    ) -> GraphLayout {
        let ranks = ranks(graph, beside);
        let mut layout = GraphLayout { places: Vec::new(), ranks: Vec::new(), routes: Vec::new() };
        let mut place_of = vec![None; graph.nodes.len()];
        for (node, rank) in ranks.iter().enumerate() {
            place_of[node] = rank.map(|rank| layout.push(Some(node), rank, reach(node)));
        }
        for edge in &graph.edges {
            let route = match (place_of[edge.from], place_of[edge.to]) {
                (Some(from), Some(to)) => layout.route(from, to),
                _ => Vec::new(),
            };
            layout.routes.push(route);
        }
        layout.order();
        layout.align();
        layout
    }

    fn push(&mut self, node: Option<usize>, rank: usize, reach: NodeExtent) -> usize {
        let place = self.places.len();
        self.places.push(RankSlot { node, rank, x: 0.0, reach, above: Vec::new(), below: Vec::new() });
        self.ranks.resize_with(self.ranks.len().max(rank + 1), Vec::new);
        self.ranks[rank].push(place);
        place
    }

    /// Joins two places, with one place in each rank between.
    fn route(&mut self, from: usize, to: usize) -> Vec<usize> {
        let between = self.places[from].rank + 1..self.places[to].rank;
        let passed = between.map(|rank| self.push(None, rank, [0.0; 2])).collect::<Vec<_>>();
        let route: Vec<usize> = [from].into_iter().chain(passed).chain([to]).collect();
        for pair in route.windows(2) {
            self.places[pair[0]].below.push(pair[1]);
            self.places[pair[1]].above.push(pair[0]);
        }
        route
    }

    fn order(&mut self) {
        let mut best = (self.crossings(), self.ranks.clone());
        for round in 0..ROUNDS {
            let down = round % 2 == 0;
            let mut at = self.positions();
            let mut order: Vec<usize> = (0..self.ranks.len()).collect();
            if !down {
                order.reverse();
            }
            for rank in order {
                let mut row = std::mem::take(&mut self.ranks[rank]);
                let middle = |place: usize| {
                    let RankSlot { above, below, .. } = &self.places[place];
                    mean(if down { above } else { below }, |p| at[p]).unwrap_or(at[place])
                };
                row.sort_by(|&a, &b| middle(a).total_cmp(&middle(b)));
                row.iter().enumerate().for_each(|(i, &place)| at[place] = i as f64);
                self.ranks[rank] = row;
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.ranks.clone());
            }
        }
        self.ranks = best.1;
    }

    fn positions(&self) -> Vec<f64> {
        let mut at = vec![0.0; self.places.len()];
        self.ranks.iter().for_each(|row| row.iter().enumerate().for_each(|(i, &place)| at[place] = i as f64));
        at
    }

    /// Number of pairs of edges between neighbouring ranks that cross.
    fn crossings(&self) -> usize {
        let at = self.positions();
        let crossings = |row: &Vec<usize>| {
            let ends = |&place: &usize| self.places[place].below.iter().map(move |&to| (place, to));
            let edges: Vec<(f64, f64)> = row.iter().flat_map(ends).map(|(a, b)| (at[a], at[b])).collect();
            let crosses = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0) * (a.1 - b.1) < 0.0;
            (1..edges.len())
                .map(|i| edges[..i].iter().filter(|a| crosses(a, &edges[i])).count())
                .sum::<usize>()
        };
        self.ranks.iter().map(crossings).sum()
    }

    fn align(&mut self) {
        let column = self.columns();
        let mut x = self.packed(&column);
        let mut members = vec![Vec::new(); x.len()];
        column.iter().enumerate().for_each(|(place, &column)| members[column].push(place));
        let neighbours = self.neighbours();
        for round in 0..ROUNDS {
            for i in 0..members.len() {
                let this = if round % 2 == 0 { i } else { members.len() - 1 - i };
                let Some(wish) = self.wish(&members[this], &column, &x) else { continue };
                let [mut least, mut most] = [f64::NEG_INFINITY, f64::INFINITY];
                for &place in &members[this] {
                    let [left, right] = neighbours[place];
                    least = left.map_or(least, |left| least.max(x[column[left]] + self.apart(left, place)));
                    most = right.map_or(most, |right| most.min(x[column[right]] - self.apart(place, right)));
                }
                // Because of rounding there may be no room left between two neighbours.
                x[this] = wish.max(least).min(most);
            }
        }
        self.places.iter_mut().zip(column).for_each(|(place, column)| place.x = x[column]);
    }

    /// The number of each place's column. Two places are in the same column if each is the other's only neighbour below
    /// or above, unless the column would cross a column to its left.
    fn columns(&self) -> Vec<usize> {
        let at = self.positions();
        let mut column: Vec<usize> = (0..self.places.len()).collect();
        for row in &self.ranks {
            let mut last = f64::NEG_INFINITY;
            for &place in row {
                let [next] = self.places[place].below[..] else { continue };
                if self.places[next].above.len() == 1 && at[next] > last {
                    column[next] = column[place];
                    last = at[next];
                }
            }
        }
        // Number the columns without gaps, in the order of their first places.
        let mut numbers = BTreeMap::new();
        column.iter().for_each(|&first| {
            let next = numbers.len();
            numbers.entry(first).or_insert(next);
        });
        column.iter().map(|first| numbers[first]).collect()
    }

    /// Positions of the columns, as far to the left as possible.
    fn packed(&self, column: &[usize]) -> Vec<f64> {
        let mut x = vec![0.0; column.iter().max().map_or(0, |last| last + 1)];
        let mut moved = true;
        while moved {
            moved = false;
            for pair in self.ranks.iter().flat_map(|row| row.windows(2)) {
                let least = x[column[pair[0]]] + self.apart(pair[0], pair[1]);
                if x[column[pair[1]]] < least {
                    (x[column[pair[1]]], moved) = (least, true);
                }
            }
        }
        x
    }

    /// The least distance between the middles of two neighbours.
    fn apart(&self, left: usize, right: usize) -> f64 {
        self.places[left].reach[1] + GAP + self.places[right].reach[0]
    }

    /// The neighbours of each place to the left and to the right.
    fn neighbours(&self) -> Vec<[Option<usize>; 2]> {
        let mut neighbours = vec![[None; 2]; self.places.len()];
        for pair in self.ranks.iter().flat_map(|row| row.windows(2)) {
            (neighbours[pair[0]][1], neighbours[pair[1]][0]) = (Some(pair[1]), Some(pair[0]));
        }
        neighbours
    }

    /// The preferred position of a column: the mean of the nodes it is joined to, or of passing edges if it is joined
    /// to no node.
    fn wish(&self, members: &[usize], column: &[usize], x: &[f64]) -> Option<f64> {
        let own = column[members[0]];
        let joined = members.iter().flat_map(|&p| self.places[p].above.iter().chain(&self.places[p].below));
        let (nodes, passing): (Vec<usize>, Vec<usize>) =
            joined.copied().filter(|&p| column[p] != own).partition(|&p| self.places[p].node.is_some());
        mean(if nodes.is_empty() { &passing } else { &nodes }, |p| x[column[p]])
    }

    /// The leftmost and the rightmost coordinate of the drawing.
    pub fn extent(&self) -> [f64; 2] {
        let ends = self.places.iter().map(|p| [p.x - p.reach[0], p.x + p.reach[1]]);
        ends.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]).unwrap_or_default()
    }
}

/// The rank of each node; `None` if it stands beside an op.
fn ranks(graph: &AutogradGraph, beside: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut ranks: Vec<Option<usize>> =
        beside.iter().map(|owner| if owner.is_none() { Some(0) } else { None }).collect();
    // Edges are sorted by the op they lead to, so the node that an edge comes from has its rank already.
    for edge in &graph.edges {
        if let (Some(above), Some(rank)) = (ranks[edge.from], ranks[edge.to]) {
            ranks[edge.to] = Some(rank.max(above + 1));
        }
    }
    for node in (0..ranks.len()).filter(|&node| graph.nodes[node].kind == GraphNodeKind::Leaf) {
        // A leaf stands right above the first op that uses it.
        let users =
            graph.edges.iter().filter(|edge| edge.from == node).filter_map(|edge| ranks[edge.to]).min();
        if let (Some(rank), Some(user)) = (&mut ranks[node], users) {
            *rank = user - 1;
        }
    }
    ranks
}

fn mean(of: &[usize], at: impl Fn(usize) -> f64) -> Option<f64> {
    (!of.is_empty()).then(|| of.iter().map(|&i| at(i)).sum::<f64>() / of.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::GraphNode;
    use super::*;

    /// A graph of ops, numbered in the order of the tape and joined by these edges.
    fn graph(ops: usize, edges: &[(usize, usize)]) -> AutogradGraph {
        let node = |_| GraphNode { kind: GraphNodeKind::Op, name: None, shape: vec![], layer: None };
        let mut edges: Vec<_> = edges.iter().map(|&(from, to)| GraphEdge { from, to, input: 0 }).collect();
        edges.sort_by_key(|edge| edge.to);
        AutogradGraph { nodes: (0..ops).map(node).collect(), edges }
    }

    fn layout(graph: &AutogradGraph) -> GraphLayout {
        GraphLayout::new(graph, &beside(graph), |_| [20.0; 2])
    }

    #[test]
    fn a_chain_is_a_straight_column() {
        let layout = layout(&graph(5, &[(0, 1), (1, 2), (2, 3), (3, 4)]));
        assert_eq!(layout.ranks.len(), 5);
        assert!(layout.places.iter().all(|place| place.x == layout.places[0].x));
    }

    /// A residual: the edge that skips two ops passes beside them, and no two places touch.
    #[test]
    fn a_skipping_edge_passes_beside_the_ops() {
        let graph = graph(4, &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        let layout = layout(&graph);
        assert_eq!((layout.ranks.len(), layout.places.len()), (4, 6));
        let skipping = &layout.routes[graph.edges.iter().position(|e| (e.from, e.to) == (0, 3)).unwrap()];
        assert_eq!(skipping.len(), 4);
        let nodes = layout.places.iter().filter(|place| place.node.is_some()).map(|place| place.x);
        assert!(
            nodes.clone().all(|x| (x - layout.places[0].x).abs() < 1e-6),
            "the body is no straight column: {layout:?}"
        );
        for row in &layout.ranks {
            for pair in row.windows(2) {
                let [a, b] = [&layout.places[pair[0]], &layout.places[pair[1]]];
                assert!(a.x + a.reach[1] + GAP <= b.x - b.reach[0] + 1e-9, "{layout:?}");
            }
        }
    }

    /// Two branches in the wrong order are reordered.
    #[test]
    fn avoidable_crossings_are_avoided() {
        let crossed = graph(6, &[(0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)]);
        assert_eq!(layout(&crossed).crossings(), 0);
    }

    /// Branches that begin and end together stand side by side, each as a straight column. The nodes where they begin
    /// and end stand in the middle between them.
    #[test]
    fn branches_are_straight_and_balanced() {
        let graph = graph(6, &[(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5)]);
        let layout = layout(&graph);
        let x = |node: usize| layout.places.iter().find(|place| place.node == Some(node)).unwrap().x;
        assert_eq!((x(1), x(2), x(0)), (x(3), x(4), x(5)));
        assert!((x(1) - x(2)).abs() >= 2.0 * 20.0 + GAP - 1e-9);
        assert!(((x(1) + x(2)) / 2.0 - x(0)).abs() < 1e-6, "{layout:?}");
    }
}
