//! The forward pass, and the gradient of the input, which is one: a convolution of dy with the taps turned by 180 degrees
//! and the channels' roles exchanged.

use super::transforms::{Place, Plane, Taps, outputs, pixels, taps};
use super::{Block, MACS, Shared, Tiling, pitch};
use crate::cpu::CpuCtx;
use crate::cpu::conv2d::{Finish, Geometry};
use crate::cpu::outer::{Left, Strided, by_tile, next_rows, outer};
use crate::cpu::vector::{Kernel, Vector};

/// Output channels between two transforms, whose sums stay in the second-level cache: a multiple of every level's panels.
const TOGETHER: usize = 96;

/// A convolution as both loops see it.
#[derive(Clone, Copy)]
struct Layer {
    n: usize,
    /// Channels and pixels read and written.
    c: usize,
    o: usize,
    from: Plane,
    to: Plane,
    /// Padding, which may be negative.
    before: [isize; 2],
    taps: Taps,
}

pub fn forward(cx: &CpuCtx, g: &Geometry, x: &[f32], weight: &[f32], finish: Finish<f32>, y: &mut [f32]) {
    let layer = Layer {
        n: g.n,
        c: g.c,
        o: g.o,
        from: Plane { h: g.h, w: g.w },
        to: Plane { h: g.oh, w: g.ow },
        before: g.window.padding.map(|p| p[0] as isize),
        taps: Taps { output: g.c * 9, input: 9, turned: false },
    };
    layer.run(cx, x, weight, finish, y);
}

pub fn grad_input(
    cx: &CpuCtx,
    g: &Geometry,
    dy: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    dx: &mut [f32],
) {
    let layer = Layer {
        n: g.n,
        c: g.o,
        o: g.c,
        from: Plane { h: g.oh, w: g.ow },
        to: Plane { h: g.h, w: g.w },
        before: g.window.padding.map(|p| 2 - p[0] as isize),
        taps: Taps { output: 9, input: g.c * 9, turned: true },
    };
    layer.run(cx, dy, weight, Finish { bias, relu: false }, dx);
}

impl Layer {
    fn run(self, cx: &CpuCtx, x: &[f32], weight: &[f32], finish: Finish<f32>, y: &mut [f32]) {
        let (simd, lanes) = (cx.simd(), cx.simd().lanes());
        let tiling = Tiling::new(self.n, [self.to.h, self.to.w]);
        let o = self.o.next_multiple_of(lanes);
        let work = self.n * self.to.h * self.to.w * self.c * self.o;
        let mut u = cx.scratch(Place::new(self.c, o, lanes).len() * 4);
        let all = Shared(u.slice_mut::<f32>().as_mut_ptr());
        cx.tasks(o / lanes, self.c * o * 16, &|group| {
            simd.dispatch(Weights { layer: &self, weight, group, u: all.get() });
        });
        let (u, y) = (&*u.slice::<f32>(), Shared(y.as_mut_ptr()));
        cx.tasks(tiling.len(), work / MACS, &|number| {
            let block = tiling.block(number);
            simd.dispatch(Tiles { cx, layer: &self, block: &block, x, u, finish, y: y.get() });
        });
    }

    /// The place of a register of output channels in U: `[16][panel of 3 registers][C][its width]`.
    fn panel<V: Vector>(&self, group: usize) -> (usize, usize) {
        let groups = self.o.div_ceil(V::LANES);
        let first = group / V::TILE[1] * V::TILE[1];
        let width = (groups - first).min(V::TILE[1]);
        (first * V::LANES * self.c + (group - first) * V::LANES, width * V::LANES)
    }
}

/// Transforms the weights of one register of output channels.
struct Weights<'a> {
    layer: &'a Layer,
    weight: &'a [f32],
    group: usize,
    u: *mut f32,
}

impl Kernel for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Layer { c, o, taps: lie, .. } = *self.layer;
        let first = self.group * V::LANES;
        let (start, width) = self.layer.panel::<V>(self.group);
        let place = Place { tile: width, ..Place::new(c, o.next_multiple_of(V::LANES), V::LANES) };
        // SAFETY: U is that large, and its registers of this group belong to this task.
        unsafe {
            let weight = self.weight.as_ptr().add(first * lie.output);
            taps::<V>(weight, lie, (V::LANES.min(o - first), c), self.u.add(start), place);
        }
    }
}

/// Computes one block of tiles.
struct Tiles<'a> {
    cx: &'a CpuCtx,
    layer: &'a Layer,
    block: &'a Block,
    x: &'a [f32],
    u: &'a [f32],
    finish: Finish<'a, f32>,
    y: *mut f32,
}

impl Kernel for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Tiles { cx, layer, block, x, u, .. } = self;
        let Layer { c, o, from, to, before, .. } = *layer;
        let tiles = block.len();
        let (pixels_read, pixels_written) = (block.read(before), block.written());
        let v_place = Place::new(tiles, pitch(c, V::LANES), V::LANES);
        let m_pitch = o.next_multiple_of(V::LANES).min(TOGETHER);
        let m_place = Place::new(tiles, m_pitch, V::LANES);
        let u_place = Place::new(c, o.next_multiple_of(V::LANES), V::LANES);
        let patch_len = pixels_read.height * pixels_read.width * V::LANES;
        let (v_len, m_len) = (v_place.len(), m_place.len());
        let mut scratch = cx.scratch((patch_len + v_len + m_len) * 4);
        let (patch, rest) = scratch.slice_mut::<f32>().split_at_mut(patch_len);
        let (v, m) = rest.split_at_mut(v_len);
        for (i, image) in block.images.clone().enumerate() {
            for first in (0..c).step_by(V::LANES) {
                // SAFETY: the planes exist, the patch has room, and tile and channels lie in V.
                unsafe {
                    let planes = x.as_ptr().add((image * c + first) * from.h * from.w);
                    pixels_read.gather::<V>(planes, V::LANES.min(c - first), from, patch.as_mut_ptr());
                    let v = v.as_mut_ptr().add(i * block.in_image() * v_place.tile + first);
                    pixels::<V>(block.size(), patch.as_ptr(), v, v_place);
                }
            }
        }
        for start in (0..o).step_by(m_pitch) {
            let end = o.min(start + m_pitch);
            for position in 0..16 {
                let v = &v[position * v_place.position..];
                let u = &u[position * u_place.position..];
                for first in (start..end).step_by(V::LANES * V::TILE[1]) {
                    let (place, width) = layer.panel::<V>(first / V::LANES);
                    let m = &mut m[position * m_place.position + first - start..];
                    // SAFETY: V has `tiles` rows of c channels, U c rows of `width`, M `tiles` rows.
                    unsafe {
                        product::<V>(
                            (tiles, c, width),
                            v.as_ptr(),
                            v_place.tile,
                            u.as_ptr().add(place),
                            m.as_mut_ptr(),
                            m_pitch,
                        );
                    }
                }
            }
            for (i, image) in block.images.clone().enumerate() {
                for first in (start..end).step_by(V::LANES) {
                    let channels = V::LANES.min(o - first);
                    // SAFETY: as on the way in; the pixels of y belong to this block.
                    unsafe {
                        let bias = match self.finish.bias {
                            Some(bias) => V::load_part(bias.as_ptr().add(first), V::first(channels)),
                            None => V::splat(0.0),
                        };
                        let m = m.as_ptr().add(i * block.in_image() * m_pitch + first - start);
                        outputs::<V>(block.size(), m, m_place, (bias, self.finish.relu), patch.as_mut_ptr());
                        let planes = self.y.add((image * o + first) * to.h * to.w);
                        pixels_written.scatter::<V>(patch.as_ptr(), channels, to, planes);
                    }
                }
            }
        }
    }
}

/// `M = V U` for one position: `rows` tiles, k channels in, `width` channels out.
///
/// # Safety
/// V, U and M can be accessed so far.
#[inline(always)]
unsafe fn product<V: Vector>(
    (rows, k, width): (usize, usize, usize),
    v: *const f32,
    v_pitch: usize,
    u: *const f32,
    m: *mut f32,
    m_pitch: usize,
) {
    let mut i = 0;
    while i < rows {
        let r = next_rows::<V>(rows - i);
        // SAFETY: the caller's.
        unsafe {
            let left = Left { data: v.add(i * v_pitch), row: v_pitch, col: 1 };
            by_tile!(r, width / V::LANES, V, rows_of(k, left, u, width, m.add(i * m_pitch), m_pitch));
        }
        i += r;
    }
}

#[inline(always)]
unsafe fn rows_of<V: Vector, const R: usize, const N: usize>(
    k: usize,
    a: Left,
    u: *const f32,
    width: usize,
    m: *mut f32,
    m_pitch: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let sums = outer::<V, R, N>(k, a, u, Strided(width), V::first(V::LANES));
        for (r, row) in sums.into_iter().enumerate() {
            for (n, sum) in row.into_iter().enumerate() {
                sum.store(m.add(r * m_pitch + n * V::LANES));
            }
        }
    }
}
