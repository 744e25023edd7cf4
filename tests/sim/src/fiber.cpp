#include "fiber.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

#if !defined(CUSIM_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define CUSIM_UCONTEXT
#endif

// Without this shift the newest frames of all fibers would fall into the same cache sets. A shift by a few
// cache lines spreads them.
static size_t stagger(unsigned number) { return number % 32 * 192; }

static char* map_stack() {
    const size_t guard = 4096;
    auto* low = static_cast<char*>(mmap(nullptr, cusim::FIBER_STACK + guard, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (low == MAP_FAILED || mprotect(low, guard, PROT_NONE)) {
        fprintf(stderr, "simulated GPU: no memory for the stacks of a block's threads\n");
        abort();
    }
    return low + guard;
}

#ifdef CUSIM_UCONTEXT

#include <ucontext.h>

// The portable version. Each switch is a system call, which is 100 times slower than the code below.
void cusim::Fiber::create(void (*entry)(), unsigned number) {
    stack = map_stack();
    auto* uc = new ucontext_t;
    getcontext(uc);
    uc->uc_stack.ss_sp = stack;
    uc->uc_stack.ss_size = FIBER_STACK - stagger(number);
    uc->uc_link = nullptr;
    makecontext(uc, entry, 0);
    context = uc;
}

void cusim::switch_fiber(Fiber& from, Fiber& to) {
    if (!from.context) from.context = new ucontext_t;
    swapcontext(static_cast<ucontext_t*>(from.context), static_cast<ucontext_t*>(to.context));
}

#else

// Saves the callee-saved registers on the current stack and the stack pointer in *save. Then switches to the
// other stack and restores its registers. The compiler has already saved the other registers, since for it
// this is a function call.
extern "C" void cusim_switch(void** save, void* next);

#if defined(__x86_64__)
// The code pops the return address and jumps to it. A `ret` would disturb the processor's prediction of
// return addresses.
asm(R"(
.text
.globl cusim_switch
.hidden cusim_switch
.type cusim_switch, @function
cusim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmpq *%rcx
.size cusim_switch, . - cusim_switch
)");
// The first switch to a new fiber pops these words: six registers, then the address of its entry. One more
// word above makes the stack look as after a call (8 bytes off a multiple of 16).
static void* first_context(char* top, void (*entry)()) {
    auto** words = reinterpret_cast<void**>(top) - 2;
    words[0] = reinterpret_cast<void*>(entry);
    return words - 6;
}

#else
asm(R"(
.text
.globl cusim_switch
.hidden cusim_switch
.type cusim_switch, %function
cusim_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size cusim_switch, . - cusim_switch
)");
static void* first_context(char* top, void (*entry)()) {
    char* context = top - 160;
    *reinterpret_cast<void**>(context + 88) = reinterpret_cast<void*>(entry); // x30: where `ret` goes
    return context;
}
#endif

void cusim::Fiber::create(void (*entry)(), unsigned number) {
    stack = map_stack();
    context = first_context(stack + FIBER_STACK - stagger(number), entry);
}

void cusim::switch_fiber(Fiber& from, Fiber& to) { cusim_switch(&from.context, to.context); }

#endif
