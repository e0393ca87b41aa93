//go:build linux && (amd64 || arm64)

package podcov

import "math/bits"

// sha256 is FIPS 180-4: crypto/sha256 needs os.
type sha256 struct {
	state   [8]uint32
	pending []byte
	length  uint64
}

func newSHA256() *sha256 {
	return &sha256{state: [8]uint32{
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	}}
}

func sha256Hex(content []byte) string {
	s := newSHA256()
	s.write(content)
	return s.hex()
}

func (s *sha256) write(content []byte) {
	s.length += uint64(len(content))
	if len(s.pending) > 0 {
		n := 64 - len(s.pending)
		if n > len(content) {
			n = len(content)
		}
		s.pending = append(s.pending, content[:n]...)
		content = content[n:]
		if len(s.pending) < 64 {
			return
		}
		s.block(s.pending)
		s.pending = s.pending[:0]
	}
	for ; len(content) >= 64; content = content[64:] {
		s.block(content)
	}
	s.pending = append(s.pending, content...)
}

// hex ends the message and returns its digest.
func (s *sha256) hex() string {
	length := 8 * s.length
	s.write([]byte{0x80})
	s.write(make([]byte, (64+56-len(s.pending))%64))
	var tail, digest []byte
	for shift := 56; shift >= 0; shift -= 8 {
		tail = append(tail, byte(length>>shift))
	}
	s.write(tail)
	for _, word := range s.state {
		digest = append(digest, byte(word>>24), byte(word>>16), byte(word>>8), byte(word))
	}
	return hexOf(digest)
}

func (s *sha256) block(content []byte) {
	var w [64]uint32
	for i := 0; i < 16; i++ {
		c := content[4*i : 4*i+4]
		w[i] = uint32(c[0])<<24 | uint32(c[1])<<16 | uint32(c[2])<<8 | uint32(c[3])
	}
	for i := 16; i < 64; i++ {
		x, y := w[i-15], w[i-2]
		w[i] = w[i-16] + w[i-7] + (right(x, 7) ^ right(x, 18) ^ x>>3) + (right(y, 17) ^ right(y, 19) ^ y>>10)
	}
	a, b, c, d, e, f, g, h := s.state[0], s.state[1], s.state[2], s.state[3], s.state[4], s.state[5], s.state[6], s.state[7]
	for i := 0; i < 64; i++ {
		t := h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + (e&f ^ ^e&g) + sha256Constants[i] + w[i]
		u := (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + (a&b ^ a&c ^ b&c)
		a, b, c, d, e, f, g, h = t+u, a, b, c, d+t, e, f, g
	}
	for i, value := range [8]uint32{a, b, c, d, e, f, g, h} {
		s.state[i] += value
	}
}

func right(x uint32, n int) uint32 {
	return bits.RotateLeft32(x, -n)
}

// sha256Constants are the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
var sha256Constants = [64]uint32{
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}
