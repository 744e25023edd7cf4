//! Where the nodes of a graph stand: in rows from the first op to the last, as few crossings and bends as can be had cheaply
//! (Sugiyama, Tagawa, Toda 1981).
//!
//! 1. A node's rank is one below the lowest of those it depends on. A parameter has no rank: it stands beside its op.
//! 2. An edge over several ranks gets a place in each rank between, so that it passes the nodes there.
//! 3. Each rank is ordered by where its neighbours above stand, then by those below, and again; the order with the fewest
//!    crossings stays.
//! 4. Each rank moves below its neighbours, as near as its order and its widths allow: a least-squares problem with a
//!    closed solution (see [`settle`]).

use super::{AutogradGraph, GraphEdge, GraphNodeKind};

/// Between neighbours in a rank.
const GAP: f64 = 28.0;
/// Rounds of ordering, and of moving.
const ROUNDS: usize = 12;

/// How far a ranked node, with what stands beside it, reaches to the left and to the right of its middle.
pub(super) type Reach = [f64; 2];

/// A place in a rank: a node's, or one that an edge passes.
#[derive(Debug)]
pub(super) struct Place {
    pub node: Option<usize>,
    pub rank: usize,
    /// The middle.
    pub x: f64,
    reach: Reach,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// Ranked nodes and edges.
#[derive(Debug)]
pub(super) struct Layout {
    pub places: Vec<Place>,
    /// Places by rank, from left to right.
    pub ranks: Vec<Vec<usize>>,
    /// Of each edge of the graph the places from its node to its op; none where the node stands beside the op.
    pub routes: Vec<Vec<usize>>,
}

/// Of each node the op beside which it stands: a leaf of one op that is not its first input, for that flows from above.
pub(super) fn beside(graph: &AutogradGraph) -> Vec<Option<usize>> {
    let mut users: Vec<Vec<&GraphEdge>> = vec![Vec::new(); graph.nodes.len()];
    graph.edges.iter().for_each(|edge| users[edge.from].push(edge));
    let owner = |(node, users): (usize, &Vec<&GraphEdge>)| match users[..] {
        [edge] if graph.nodes[node].kind == GraphNodeKind::Leaf && edge.input > 0 => Some(edge.to),
        _ => None,
    };
    users.iter().enumerate().map(owner).collect()
}

impl Layout {
    /// `reach` is asked of every ranked node.
    pub fn new(graph: &AutogradGraph, beside: &[Option<usize>], reach: impl Fn(usize) -> Reach) -> Layout {
        let ranks = ranks(graph, beside);
        let mut layout = Layout { places: Vec::new(), ranks: Vec::new(), routes: Vec::new() };
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

    fn push(&mut self, node: Option<usize>, rank: usize, reach: Reach) -> usize {
        let place = self.places.len();
        self.places.push(Place { node, rank, x: 0.0, reach, above: Vec::new(), below: Vec::new() });
        self.ranks.resize_with(self.ranks.len().max(rank + 1), Vec::new);
        self.ranks[rank].push(place);
        place
    }

    /// Joins two places, with one in each rank between.
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
                    let Place { above, below, .. } = &self.places[place];
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

    /// Pairs of edges between neighbouring ranks that cross.
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
        for row in &self.ranks {
            let wish = vec![0.0; row.len()];
            settle(&mut self.places, row, &wish);
        }
        for round in 0..ROUNDS {
            let wish = |places: &[Place], place: usize| {
                let Place { above, below, x, .. } = &places[place];
                let near = match round % 2 {
                    _ if round + 1 == ROUNDS => [&above[..], &below[..]].concat(),
                    0 => above.clone(),
                    _ => below.clone(),
                };
                mean(&near, |p| places[p].x).unwrap_or(*x)
            };
            let mut order: Vec<usize> = (0..self.ranks.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for rank in order {
                let row = &self.ranks[rank];
                let wishes: Vec<f64> = row.iter().map(|&place| wish(&self.places, place)).collect();
                settle(&mut self.places, row, &wishes);
            }
        }
    }

    /// The leftmost and the rightmost that anything reaches.
    pub fn extent(&self) -> [f64; 2] {
        let ends = self.places.iter().map(|p| [p.x - p.reach[0], p.x + p.reach[1]]);
        ends.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]).unwrap_or_default()
    }
}

/// The rank of each node; none where it stands beside an op.
fn ranks(graph: &AutogradGraph, beside: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut ranks: Vec<Option<usize>> =
        beside.iter().map(|owner| if owner.is_none() { Some(0) } else { None }).collect();
    // Edges come in the order of the ops they lead to: what they come from has its rank.
    for edge in &graph.edges {
        if let (Some(above), Some(rank)) = (ranks[edge.from], ranks[edge.to]) {
            ranks[edge.to] = Some(rank.max(above + 1));
        }
    }
    for node in (0..ranks.len()).filter(|&node| graph.nodes[node].kind == GraphNodeKind::Leaf) {
        // A leaf stands right above the first op that takes it.
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

/// Moves a row's places to their wishes, as near as order and widths allow.
///
/// With the offsets taken off that keep neighbours apart, the places must not decrease from left to right, and the sum of the
/// squared distances from the wishes is to be least: isotonic regression, solved by pooling neighbours that are in the wrong
/// order at their mean until none are (Ayer et al. 1955).
fn settle(places: &mut [Place], row: &[usize], wishes: &[f64]) {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(row.len());
    for (i, &place) in row.iter().enumerate() {
        if i > 0 {
            offset += places[row[i - 1]].reach[1] + GAP + places[place].reach[0];
        }
        offsets.push(offset);
    }
    // Sum and number of the wishes in each pool.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (wish, offset) in wishes.iter().zip(&offsets) {
        let mut pool = (wish - offset, 1);
        while let Some(&(sum, n)) = pools.last()
            && sum / n as f64 > pool.0 / pool.1 as f64
        {
            pool = (pool.0 + sum, pool.1 + n);
            pools.pop();
        }
        pools.push(pool);
    }
    let pooled = pools.iter().flat_map(|&(sum, n)| std::iter::repeat_n(sum / n as f64, n));
    for ((&place, offset), x) in row.iter().zip(offsets).zip(pooled) {
        places[place].x = x + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::super::GraphNode;
    use super::*;

    /// Ops numbered in the order of the tape, joined by these edges.
    fn graph(ops: usize, edges: &[(usize, usize)]) -> AutogradGraph {
        let node = |_| GraphNode { kind: GraphNodeKind::Op, name: None, shape: vec![], layer: None };
        let mut edges: Vec<_> = edges.iter().map(|&(from, to)| GraphEdge { from, to, input: 0 }).collect();
        edges.sort_by_key(|edge| edge.to);
        AutogradGraph { nodes: (0..ops).map(node).collect(), edges }
    }

    fn layout(graph: &AutogradGraph) -> Layout {
        Layout::new(graph, &beside(graph), |_| [20.0; 2])
    }

    #[test]
    fn a_chain_is_a_straight_column() {
        let layout = layout(&graph(5, &[(0, 1), (1, 2), (2, 3), (3, 4)]));
        assert_eq!(layout.ranks.len(), 5);
        assert!(layout.places.iter().all(|place| place.x == layout.places[0].x));
    }

    /// A residual: the edge that skips two ops passes beside them, and no place touches another.
    #[test]
    fn a_skipping_edge_passes_beside_the_ops() {
        let graph = graph(4, &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        let layout = layout(&graph);
        assert_eq!((layout.ranks.len(), layout.places.len()), (4, 6));
        let skipping = &layout.routes[graph.edges.iter().position(|e| (e.from, e.to) == (0, 3)).unwrap()];
        assert_eq!(skipping.len(), 4);
        for row in &layout.ranks {
            for pair in row.windows(2) {
                let [a, b] = [&layout.places[pair[0]], &layout.places[pair[1]]];
                assert!(a.x + a.reach[1] + GAP <= b.x - b.reach[0] + 1e-9, "{layout:?}");
            }
        }
    }

    /// Two branches given in the wrong order are sorted out.
    #[test]
    fn avoidable_crossings_are_avoided() {
        let crossed = graph(6, &[(0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)]);
        assert_eq!(layout(&crossed).crossings(), 0);
    }

    /// Wishes in the wrong order meet in the middle; those that can be granted are.
    #[test]
    fn a_row_settles_where_it_costs_least() {
        let graph = graph(3, &[]);
        let mut layout = layout(&graph);
        let row = layout.ranks[0].clone();
        settle(&mut layout.places, &row, &[100.0, 50.0, 500.0]);
        let x: Vec<f64> = row.iter().map(|&place| layout.places[place].x).collect();
        assert_eq!(x, [75.0 - 34.0, 75.0 + 34.0, 500.0]);
    }
}
