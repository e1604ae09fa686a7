;; The two layers of a separable block in WebAssembly, four channels at a time
;; (SIMD). live-network.js has them assembled; tests/test_live.py compares.
;; Maps have their channels last, in a multiple of 4; all sizes in channels,
;; positions or bytes as said, all places in bytes.
(module
  (memory (export "memory") 1)

  ;; out[p, m] = bias[m] + sum over c of x[p, c] * kernel[c, m], clipped, for n
  ;; positions p, four at a time. The kernel comes in strips: all c of the first
  ;; four m, then all c of the next four. m is counted in bytes.
  (func (export "pointwise")
    (param $x i32) (param $n i32) (param $c i32) (param $m i32)
    (param $kernel i32) (param $bias i32) (param $out i32)
    (param $low f32) (param $high f32)
    (local $p i32) (local $f i32) (local $k i32) (local $to i32)
    (local $x0 i32) (local $x1 i32) (local $x2 i32) (local $x3 i32)
    (local $end i32) (local $row i32) (local $v v128)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $floor v128) (local $ceiling v128)
    (local.set $row (i32.shl (local.get $c) (i32.const 2)))
    (local.set $floor (f32x4.splat (local.get $low)))
    (local.set $ceiling (f32x4.splat (local.get $high)))
    (loop $positions
      (local.set $k (local.get $kernel))
      (local.set $f (i32.const 0))
      (loop $channels
        (local.set $a0 (v128.load (i32.add (local.get $bias) (local.get $f))))
        (local.set $a1 (local.get $a0))
        (local.set $a2 (local.get $a0))
        (local.set $a3 (local.get $a0))
        (local.set $x0 (i32.add (local.get $x)
          (i32.mul (local.get $p) (local.get $row))))
        (local.set $x1 (i32.add (local.get $x0) (local.get $row)))
        (local.set $x2 (i32.add (local.get $x1) (local.get $row)))
        (local.set $x3 (i32.add (local.get $x2) (local.get $row)))
        (local.set $end (local.get $x1))
        (loop $sum  ;; one c: four weights, used at four positions
          (local.set $v (v128.load (local.get $k)))
          (local.set $a0 (f32x4.add (local.get $a0) (f32x4.mul
            (local.get $v) (v128.load32_splat (local.get $x0)))))
          (local.set $a1 (f32x4.add (local.get $a1) (f32x4.mul
            (local.get $v) (v128.load32_splat (local.get $x1)))))
          (local.set $a2 (f32x4.add (local.get $a2) (f32x4.mul
            (local.get $v) (v128.load32_splat (local.get $x2)))))
          (local.set $a3 (f32x4.add (local.get $a3) (f32x4.mul
            (local.get $v) (v128.load32_splat (local.get $x3)))))
          (local.set $k (i32.add (local.get $k) (i32.const 16)))
          (local.set $x1 (i32.add (local.get $x1) (i32.const 4)))
          (local.set $x2 (i32.add (local.get $x2) (i32.const 4)))
          (local.set $x3 (i32.add (local.get $x3) (i32.const 4)))
          (br_if $sum (i32.lt_u
            (local.tee $x0 (i32.add (local.get $x0) (i32.const 4)))
            (local.get $end))))
        (local.set $to (i32.add (i32.add (local.get $out) (local.get $f))
          (i32.mul (local.get $p) (local.get $m))))
        (v128.store (local.get $to) (f32x4.min (local.get $ceiling)
          (f32x4.max (local.get $floor) (local.get $a0))))
        (local.set $to (i32.add (local.get $to) (local.get $m)))
        (v128.store (local.get $to) (f32x4.min (local.get $ceiling)
          (f32x4.max (local.get $floor) (local.get $a1))))
        (local.set $to (i32.add (local.get $to) (local.get $m)))
        (v128.store (local.get $to) (f32x4.min (local.get $ceiling)
          (f32x4.max (local.get $floor) (local.get $a2))))
        (local.set $to (i32.add (local.get $to) (local.get $m)))
        (v128.store (local.get $to) (f32x4.min (local.get $ceiling)
          (f32x4.max (local.get $floor) (local.get $a3))))
        (br_if $channels (i32.lt_u
          (local.tee $f (i32.add (local.get $f) (i32.const 16)))
          (local.get $m))))
      (br_if $positions (i32.lt_u
        (local.tee $p (i32.add (local.get $p) (i32.const 4)))
        (local.get $n)))))

  ;; out[y, x, c] = bias[c] + sum over i, j of
  ;; map[y * stride + i - top, x * stride + j - left, c] * kernel[i, j, c],
  ;; clipped. A position's channels are c bytes.
  (func (export "depthwise")
    (param $map i32) (param $h i32) (param $w i32) (param $c i32)
    (param $k i32) (param $stride i32) (param $top i32) (param $left i32)
    (param $kernel i32) (param $bias i32) (param $out i32)
    (param $oh i32) (param $ow i32) (param $low f32) (param $high f32)
    (local $y i32) (local $x i32) (local $f i32) (local $sum v128)
    (local $i0 i32) (local $j0 i32) (local $rows i32) (local $columns i32)
    (local $i i32) (local $j i32) (local $from i32) (local $tap i32)
    (local $floor v128) (local $ceiling v128)
    (local.set $floor (f32x4.splat (local.get $low)))
    (local.set $ceiling (f32x4.splat (local.get $high)))
    (loop $down
      ;; The taps of the window that meet the map: rows of them from i0 on.
      (local.set $i0 (call $most (i32.const 0) (i32.sub (local.get $top)
        (i32.mul (local.get $y) (local.get $stride)))))
      (local.set $rows (i32.sub
        (call $least (local.get $k) (i32.sub
          (i32.add (local.get $h) (local.get $top))
          (i32.mul (local.get $y) (local.get $stride))))
        (local.get $i0)))
      (local.set $x (i32.const 0))
      (loop $across
        (local.set $j0 (call $most (i32.const 0) (i32.sub (local.get $left)
          (i32.mul (local.get $x) (local.get $stride)))))
        (local.set $columns (i32.sub
          (call $least (local.get $k) (i32.sub
            (i32.add (local.get $w) (local.get $left))
            (i32.mul (local.get $x) (local.get $stride))))
          (local.get $j0)))
        (local.set $f (i32.const 0))
        (loop $channels
          (local.set $sum
            (v128.load (i32.add (local.get $bias) (local.get $f))))
          (local.set $from (i32.add (i32.add (local.get $map) (local.get $f))
            (i32.mul (local.get $c) (i32.add
              (i32.mul (local.get $w) (i32.sub
                (i32.add (i32.mul (local.get $y) (local.get $stride))
                  (local.get $i0))
                (local.get $top)))
              (i32.sub
                (i32.add (i32.mul (local.get $x) (local.get $stride))
                  (local.get $j0))
                (local.get $left))))))
          (local.set $tap (i32.add (i32.add (local.get $kernel)
            (local.get $f)) (i32.mul (local.get $c) (i32.add
              (i32.mul (local.get $i0) (local.get $k)) (local.get $j0)))))
          (local.set $i (local.get $rows))
          (loop $window
            (local.set $j (local.get $columns))
            (loop $taps
              (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul
                (v128.load (local.get $from)) (v128.load (local.get $tap)))))
              (local.set $from (i32.add (local.get $from) (local.get $c)))
              (local.set $tap (i32.add (local.get $tap) (local.get $c)))
              (br_if $taps (local.tee $j
                (i32.sub (local.get $j) (i32.const 1)))))
            (local.set $from (i32.add (local.get $from) (i32.mul
              (local.get $c) (i32.sub (local.get $w) (local.get $columns)))))
            (local.set $tap (i32.add (local.get $tap) (i32.mul
              (local.get $c) (i32.sub (local.get $k) (local.get $columns)))))
            (br_if $window (local.tee $i
              (i32.sub (local.get $i) (i32.const 1)))))
          (v128.store (i32.add (local.get $out) (local.get $f))
            (f32x4.min (local.get $ceiling)
              (f32x4.max (local.get $floor) (local.get $sum))))
          (br_if $channels (i32.lt_u
            (local.tee $f (i32.add (local.get $f) (i32.const 16)))
            (local.get $c))))
        (local.set $out (i32.add (local.get $out) (local.get $c)))
        (br_if $across (i32.lt_u
          (local.tee $x (i32.add (local.get $x) (i32.const 1)))
          (local.get $ow))))
      (br_if $down (i32.lt_u
        (local.tee $y (i32.add (local.get $y) (i32.const 1)))
        (local.get $oh)))))

  (func $most (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b)
      (i32.gt_s (local.get $a) (local.get $b))))

  (func $least (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b)
      (i32.lt_s (local.get $a) (local.get $b)))))
