/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Debian 12's User-Mode Linux has room for 2696 bytes of a processor's registers, and ptrace() takes them back only
 * whole: on processors with AMX, where they are some 11000 bytes, no program starts ("set fp regs failed, errno = 14").
 * Preloaded, this hands the missing rest over as what it is at the beginning. Nothing in there can use AMX, for which a
 * program has to ask the kernel. No header is needed, so that the smallest compiler makes it.
 */
typedef unsigned long word;
struct piece { unsigned char *base; word length; };

enum { CALL = 101, GETREGSET = 0x4204, SETREGSET = 0x4205, XSTATE = 0x202 };
enum { PRESENT = 512, TILES = 3 << 17, MOST = 65536 };

extern long syscall(long number, ...);

static unsigned char registers[MOST] __attribute__((aligned(64)));
static word size;

/* What went wrong is not looked at: the program is interrupted at any time by handlers that change errno. */
long ptrace(long request, long pid, word address, void *data)
{
    struct piece whole = {registers, MOST}, *given = data;
    word place, read = 0;
    long ended;

    if (request >= 1 && request <= 3) { /* the three that read a word, which the C library returns */
        ended = syscall(CALL, request, pid, address, &read);
        return ended == 0 ? (long)read : ended;
    }
    if (request != SETREGSET || address != XSTATE)
        return syscall(CALL, request, pid, address, data);
    if (size == 0) {
        ended = syscall(CALL, GETREGSET, pid, XSTATE, &whole);
        if (ended != 0)
            return ended;
        size = whole.length;
        for (place = 0; place < size; place++)
            registers[place] = 0;
    }
    if (given->length >= size)
        return syscall(CALL, request, pid, address, data);
    for (place = 0; place < given->length; place++)
        registers[place] = given->base[place];
    *(word *)(registers + PRESENT) &= ~(word)TILES;
    whole.length = size;
    return syscall(CALL, SETREGSET, pid, XSTATE, &whole);
}
