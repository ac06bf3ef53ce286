// Exchanges two names as fast as the machine can, as long as its standard input is open.
//
//   flipper ONE OTHER
//
// prints the number of exchanges at the end.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

int main(int argc, char** argv) {
  if (argc < 3) return 1;
  struct pollfd input = {.fd = 0, .events = POLLIN};
  long exchanges = 0;
  // An even number, so that both are where they were.
  while (!poll(&input, 1, 0) || exchanges % 2)
    for (int i = 0; i < 101; i++)
      if (!renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE)) exchanges++;
  printf("%ld\n", exchanges);
  return 0;
}
